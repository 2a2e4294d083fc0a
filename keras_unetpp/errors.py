"""The one error class for input that a user can mend."""


class InputError(ValueError):
    """Input that the caller can mend; the message says what is required, what was received and the way out.

    The command line prints the message as one line and exits with code 2.
    """
