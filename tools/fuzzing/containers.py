"""Changes of what lies in archives, HDF5, safetensors, protobuf and flatbuffers, with lengths and sums made right."""

import io
import json
import struct
import warnings
import zipfile
from random import Random
from typing import Any

import numpy as np

from fuzzing import texts
from fuzzing.texts import INTEGERS


def archive(data: bytes, rng: Random) -> bytes:
    """A zip archive with what is in one file changed, or its name, or the list of files."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = [(one, source.read(one)) for one in source.infolist()]
    number = rng.randrange(len(members))
    about, body = members[number]
    name, change = about.filename, rng.randrange(8)
    if change == 0:
        del members[number]
    elif change == 1:
        name = rng.choice(
            (
                "",
                "../../up",
                "/tmp/up",
                name.upper(),
                name + "/",
                name + "\n",
                "é",
                *(one.filename for one, _ in members),
            )
        )
    else:
        body = _member(name, body, rng)
    result = io.BytesIO()
    with (
        zipfile.ZipFile(result, "w") as target,
        warnings.catch_warnings(action="ignore"),
    ):  # of a name that is there twice
        for index, (one, own) in enumerate(members):
            changed = one is about and change
            fresh = zipfile.ZipInfo(name if changed else one.filename, one.date_time)
            fresh.compress_type = rng.choice((0, 8, 12, 14)) if change == 2 and index == number else one.compress_type
            fresh.external_attr = one.external_attr
            target.writestr(fresh, body if changed else own)
    return result.getvalue()


def _member(name: str, body: bytes, rng: Random) -> bytes:
    for suffix, change in ((".json", texts.json_text), (".h5", hdf5)):
        if name.endswith(suffix):
            return change(body, rng)
    if not body:
        return rng.randbytes(8)
    place = rng.randrange(len(body))
    fresh = rng.choice((bytes([rng.randrange(256)]), struct.pack("<I", rng.choice(INTEGERS) % 2**32), b""))
    return body[:place] + fresh + body[place + max(len(fresh), 1) :]


def hdf5(data: bytes, rng: Random) -> bytes:
    """An HDF5 file with one data set, attribute or link changed; half of the time, a number between its bytes."""
    if rng.random() < 0.5:
        place = rng.randrange(len(data))
        return data[:place] + struct.pack("<I", rng.choice(INTEGERS) % 2**32) + data[place + 4 :]
    import h5py

    file = io.BytesIO(data)
    with h5py.File(file, "r+") as opened:
        names: list[str] = []
        opened.visit(names.append)
        name = rng.choice(names)
        node = opened[name]
        if node.attrs and rng.random() < 0.4:
            key = rng.choice(sorted(node.attrs))
            node.attrs[key] = rng.choice((0, -1, "x", "../../up", [b"a", b"b"], [], 1e300, float("nan")))
        elif "model_config" in opened.attrs and rng.random() < 0.5:
            opened.attrs["model_config"] = texts.json_text(str(opened.attrs["model_config"]).encode(), rng).decode(
                "utf-8", "replace"
            )
        else:
            del opened[name]
            _fresh_node(opened, name, rng)
    return file.getvalue()


def _fresh_node(opened: Any, name: str, rng: Random) -> None:
    """Something else under the name: another shape or type, numbers that are none, a link, or a group."""
    import h5py

    change = rng.randrange(8)
    if change == 0:
        return
    if change == 1:
        opened[name] = h5py.SoftLink("/" + rng.choice(("", name, "nowhere")))
    elif change == 2:
        opened[name] = h5py.ExternalLink("/etc/hostname", "/")
    elif change == 3:
        opened.create_group(name)
    elif change == 4:
        opened.create_dataset(name, data=np.full((3, 3, 2), np.nan, np.float32))
    elif change == 5:
        opened.create_dataset(name, (2**20, 2**20), np.float32, chunks=(64, 64), compression="gzip")
    elif change == 6:
        opened.create_dataset(name, data="text")
    else:
        opened.create_dataset(name, (4,), np.float32, external=[("/etc/hostname", 0, 16)])


def safetensors(data: bytes, rng: Random) -> bytes:
    """A safetensors file with its header changed, its length being right, or with numbers that are none."""
    (length,) = struct.unpack_from("<Q", data)
    header, body = data[8 : 8 + length], data[8 + length :]
    change = rng.random()
    if change < 0.2:
        place = 4 * rng.randrange(max(len(body) // 4, 1))
        value = rng.choice((float("nan"), float("inf"), -float("inf"), 3e38))
        body = body[:place] + struct.pack("<f", value) + body[place + 4 :]
    elif change < 0.4:
        about = json.loads(header)
        own = about.get("__metadata__", {})
        for key in own:
            own[key] = texts.json_text(own[key].encode(), rng).decode("utf-8", "replace")
        header = json.dumps(about).encode()
    else:
        header = texts.json_text(header, rng)
    return struct.pack("<Q", len(header)) + header + body


def flatbuffer(data: bytes, rng: Random) -> bytes:
    """A flatbuffer with one of its aligned integers changed: an offset, a length, a shape or a code."""
    place = 4 * rng.randrange(len(data) // 4)
    (old,) = struct.unpack_from("<i", data, place)
    fresh = rng.choice((old + 1, old - 1, -old, old * 2, old + 4, old + 256, *INTEGERS))
    return data[:place] + struct.pack("<I", fresh % 2**32) + data[place + 4 :]


def protobuf(data: bytes, rng: Random) -> bytes:
    """A protobuf message with one field changed, left out or repeated, all lengths around it made right."""
    fields = parsed(data)
    if not fields:
        return data
    number = rng.randrange(len(fields))
    key, value = fields[number]
    deeper = isinstance(value, bytes) and len(value) > 1 and rng.random() < 0.85
    if deeper and isinstance(value, bytes) and _is_message(value):
        fields[number] = (key, protobuf(value, rng))
    elif rng.random() < 0.15:
        del fields[number]
    elif rng.random() < 0.1:
        fields.insert(number, fields[number])
    elif isinstance(value, bytes):
        place = rng.randrange(len(value) + 1)
        fresh = rng.choice(
            (b"", rng.randbytes(1), struct.pack("<I", rng.choice(INTEGERS) % 2**32), b"../../up", b"x" * 300)
        )
        fields[number] = (key, value[:place] + fresh + value[place + len(fresh) :])
    else:
        fields[number] = (key, rng.choice((value + 1, value * 2, *INTEGERS)) % 2**64)
    return b"".join(written(*one) for one in fields)


def parsed(data: bytes) -> list[tuple[int, int | bytes]]:
    """The fields of a protobuf message: key -> integer, or bytes.

    Raises:
        ValueError: this is no message.
    """
    found: list[tuple[int, int | bytes]] = []
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        value: int | bytes
        if kind == 0:
            value, place = _varint(data, place)
        elif kind in (1, 2, 5):
            length = {1: 8, 5: 4}.get(kind, 0)
            if kind == 2:
                length, place = _varint(data, place)
            value, place = data[place : place + length], place + length
        else:
            raise ValueError("no such kind of field")
        if key < 8 or place > len(data):
            raise ValueError("no field")
        found.append((key, value))
    return found


def _is_message(data: bytes) -> bool:
    try:
        return bool(parsed(data))
    except (ValueError, IndexError):
        return False


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value, shift, place = value | (byte & 0x7F) << shift, shift + 7, place + 1
        if byte < 0x80:
            return value, place


def written(key: int, value: int | bytes) -> bytes:
    """A field of a protobuf message, of the key and value that `parsed` gives."""
    kind = key & 7
    if isinstance(value, int):
        return _as_varint(key) + _as_varint(value)
    if kind == 2:
        return _as_varint(key) + _as_varint(len(value)) + value
    length = 8 if kind == 1 else 4
    return _as_varint(key) + value[:length].ljust(length, b"\0")


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
