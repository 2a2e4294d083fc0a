"""What to say of a network that a format has no operations for."""

import re
from collections.abc import Iterable, Sequence

_SCOPE = re.compile(r"(?<=/)\w+")


def unsupported(built_in: str, operations: Iterable[str], where: str, layers: Sequence[str], others: str) -> str:
    """A text that names the operations and the layers that need them.

    Args:
        built_in: whose operations cannot compute the network.
        operations: names of those that it would need.
        where: a text in which layers' names are scopes, `net/x_0_0_conv1_1/Conv2D`; a repeated scope has a number more
            than its layer's name.
        layers: names of all layers.
        others: the formats to take instead.
    """
    scopes = set(_SCOPE.findall(where))
    found = {name for scope in scopes for name in (scope, re.sub(r"_\d+$", "", scope)) if name in layers}
    return (
        f"{built_in} cannot compute {', '.join(sorted(set(operations))) or 'this model'}"
        f"{', which layer ' + ', '.join(sorted(found)) + ' needs' if found else ''}. Export {others}, or build the"
        " network without."
    )
