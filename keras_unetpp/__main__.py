"""`python -m keras_unetpp`: the command line."""

import sys

from keras_unetpp.cli import main

sys.exit(main())
