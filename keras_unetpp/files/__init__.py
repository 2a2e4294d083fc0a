"""Files and folders of ours: written whole or not at all, known again by a record, and nothing else ever touched.

`names`    what a name may be, and where one may lead that was read from a file
`locks`    locks that die with the process that holds them
`record`   `keras_unetpp.json`: what this package wrote into a folder
`checks`   what is in the way of what is to be written
`writing`  the one module of the package that replaces or deletes anything; `exchange` and `disk` are steps of it
`holder`   one process at a time in a folder
"""

from keras_unetpp.files.checks import check_folder_free, check_free
from keras_unetpp.files.holder import FolderLock
from keras_unetpp.files.names import NUMBER, check_length, check_text, inside, is_text
from keras_unetpp.files.record import RECORD, adopt, is_placed, knows
from keras_unetpp.files.writing import (
    discard,
    fetching,
    make_ready,
    prepare,
    replacing,
    replacing_folder,
    sweep,
    write_text,
)

__all__ = [
    "NUMBER",
    "RECORD",
    "FolderLock",
    "adopt",
    "check_folder_free",
    "check_free",
    "check_length",
    "check_text",
    "discard",
    "fetching",
    "inside",
    "is_placed",
    "is_text",
    "knows",
    "make_ready",
    "prepare",
    "replacing",
    "replacing_folder",
    "sweep",
    "write_text",
]
