"""Changes of JSON and CSV, and the values that readers of numbers and names trip over."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

INTEGERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    16,
    255,
    256,
    4096,
    32767,
    32768,
    65535,
    65536,
    2**24,
    2**29,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**53,
    2**63 - 1,
    2**63,
    2**64 - 1,
    -1,
    -2,
    -(2**31),
)
"""Where integers of files and of the machine end."""

DEEP = 100_000
"""How deep a value is nested at most, which is deeper than Python's own stack."""

_NAMES = (
    "",
    " ",
    ".",
    "..",
    "../../up",
    "/etc/hostname",
    "a/b",
    "\0",
    "\n",
    "\x1b[2J",
    "\ud800",
    "é",
    "e\u0301",
    "x" * 300,
    "%s",
    "{0}",
    "__class__",
    "None",
    "nan",
)
_RAW = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-0",
    "1" * 5000,
    "1.5",
    "true",
    "null",
    '"1"',
    "[]",
    "{}",
    "[[]]",
    '{"a":1}',
)
"""Values as text, since a few of them are no JSON that Python would write."""


def json_text(data: bytes, rng: Random) -> bytes:
    """A JSON file with one value, one name, or its encoding changed."""
    if rng.random() < 0.08:
        return _encoded(data.decode(), rng)
    found = json.loads(data)
    mark = "@@ the place @@"
    holder = {"": found}
    places = list(_places(holder))
    where, key = rng.choice(places)
    old = where[key]
    change = rng.randrange(10)
    if change == 0 and isinstance(where, dict) and where is not holder:
        del where[key]
        return _dumped(holder[""])
    if change == 1 and isinstance(where, dict) and where is not holder:
        name = rng.choice((*_NAMES, *map(str, where)))
        where[name] = where.pop(key)
        return _dumped(holder[""])
    if change == 2:
        other, place = rng.choice(places)
        where[key], other[place] = json.loads(_dumped([other[place], old]))
        return _dumped(holder[""])
    if change == 3 and isinstance(old, list):
        where[key] = old * rng.choice((0, 2, 50)) if rng.random() < 0.7 else old[: rng.randrange(len(old) + 1)]
        return _dumped(holder[""])
    where[key] = mark
    return _dumped(holder[""]).replace(json.dumps(mark).encode(), _value(old, rng).encode())


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each value within a value, as what holds it and its key there."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


def _value(old: Any, rng: Random) -> str:
    """The text of another value; half of the time of the same type."""
    if rng.random() < 0.5:
        if isinstance(old, str):
            return json.dumps(rng.choice((*_NAMES, old + rng.choice(_NAMES), old[: len(old) // 2])))
        if isinstance(old, (int, float)):
            near = (old + 1, old - 1, -old, old * 2, old / 3, old * 10**6, old * 10**12)
            return json.dumps(rng.choice((*near, *INTEGERS)))
    if rng.random() < 0.1:
        depth = rng.choice((50, rng.randrange(900, 1000), DEEP))
        return rng.choice(("[" * depth + "]" * depth, '{"a":' * depth + "0" + "}" * depth))
    return rng.choice((*_RAW, *map(str, INTEGERS), json.dumps(rng.choice(_NAMES))))


def _encoded(text: str, rng: Random) -> bytes:
    """Other bytes for the same text, or nearly."""
    spoilt = rng.choice(
        (text, text.replace('"', '"é', 2), text.replace(":", ": // why\n", 1), text + text, "", "\0" + text)
    )
    encoding = rng.choice(("utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1252", "utf-16-be"))
    return spoilt.encode(encoding, "replace")


def csv_text(data: bytes, rng: Random) -> bytes:
    """A CSV file with a cell, a row or its encoding changed."""
    if rng.random() < 0.15:
        return _encoded(_text(data), rng)
    lines = _text(data).splitlines()
    line = rng.randrange(len(lines))
    change = rng.randrange(8)
    if change == 0:
        del lines[line]
    elif change == 1:
        lines.insert(line, lines[rng.randrange(len(lines))])
    elif change == 2:
        lines *= rng.choice((2, 100))
    elif change == 3:
        lines[line] = lines[line].replace(",", rng.choice((";", "\t", ",,", '","', "")))
    else:
        cells = lines[line].split(",")
        cells[rng.randrange(len(cells))] = rng.choice(
            ("", '"', '""', "'", "nan", "inf", "-1", "1e999", "1" * 5000, "0x10", "x" * 200_000, "=1+1", *_NAMES)
        )
        lines[line] = ",".join(cells)
    return rng.choice(("\n", "\n", "\r\n", "\r")).join(lines).encode("utf-8", "replace")


def _text(data: bytes) -> str:
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")
