"""Optional packages: checked where they are needed, with an error that names the extra to install."""

from importlib.util import find_spec

from keras_unetpp.kit.errors import InputError


def require(extra: str, *modules: str) -> None:
    """Raise `InputError` naming the extra to install unless all of the modules can be imported."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise InputError(f"This needs {' and '.join(missing)}. Install: pip install 'keras-unetpp[{extra}]'.")
