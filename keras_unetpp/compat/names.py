"""A name that another package does not promise."""

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from keras_unetpp.kit.errors import InputError


@dataclass(frozen=True)
class PrivateName:
    """What is used of another package though it may go with any release.

    Attributes:
        package: as it is installed, whose versions count.
        path: `module:name`, `module:Class.name`; of an attribute that only instances have, the class and the name.
        use: what it does here, as the end of "which ..".
        seen: versions of the package that had it.
    """

    package: str
    path: str
    use: str
    seen: tuple[str, ...]

    @property
    def name(self) -> str:
        """The last part alone."""
        return self.path.replace(":", ".").rpartition(".")[2]

    def get(self) -> Any:
        """The thing itself.

        Raises:
            InputError: this version of the package has it no more.
        """
        module, _, rest = self.path.partition(":")
        try:
            found = import_module(module)
            for part in rest.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise self.gone() from error
        return found

    def of(self, owner: Any) -> Any:
        """The thing as an instance has it.

        Raises:
            InputError: as for `get`.
        """
        self.check(owner)
        return getattr(owner, self.name)

    def put(self, owner: Any, value: Any) -> None:
        """Give an instance or a module another one; one that nobody would look at is an error.

        Raises:
            InputError: as for `get`.
        """
        self.check(owner)
        setattr(owner, self.name, value)

    def check(self, owner: Any) -> None:
        """Raise `InputError` unless an instance has it."""
        if not hasattr(owner, self.name):
            raise self.gone()

    def gone(self) -> InputError:
        """The error that says what broke."""
        own = next(filter(None, map(_version, (self.package, f"{self.package}-cpu"))), "as it is installed")
        return InputError(
            f"{self.package} {own} has no {self.path.replace(':', '.')}, which {self.use}. It was there in"
            f" {self.package} {', '.join(self.seen)}: install that version."
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
