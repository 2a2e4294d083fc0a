"""Changes of PNG and TIFF whose check sums and lengths stay right, so that readers look further."""

import struct
import zlib
from random import Random

from fuzzing.texts import INTEGERS

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(data: bytes, rng: Random) -> bytes:
    """A PNG with one chunk changed, left out, repeated or moved; of pixels, what is packed in them."""
    chunks = _chunks(data)
    number = rng.randrange(len(chunks))
    kind, body = chunks[number]
    change = rng.randrange(6)
    if change == 0:
        del chunks[number]
    elif change == 1:
        chunks.insert(rng.randrange(len(chunks) + 1), chunks[number])
    elif change == 2:
        chunks[number] = (
            rng.choice((b"IDAT", b"PLTE", b"tRNS", b"sBIT", b"eXIf", b"IHDR", b"acTL", b"zTXt", b"iCCP")),
            body,
        )
    elif kind == b"IDAT":
        chunks[number] = (kind, zlib.compress(_pixels(zlib.decompress(body), rng)))
    elif kind == b"IHDR" and change != 3:
        chunks[number] = (kind, _header(body, rng))
    else:
        chunks[number] = (kind, _changed(body, rng))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], len(_SIGNATURE)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        found.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def _header(body: bytes, rng: Random) -> bytes:
    sides = list(struct.unpack_from(">II", body))
    rest = list(body[8:13])
    if rng.random() < 0.5:
        sides[rng.randrange(2)] = rng.choice((rng.randrange(64), *(one % 2**32 for one in INTEGERS)))
    else:
        place = rng.randrange(5)
        rest[place] = rng.choice(((1, 2, 4, 8, 16, 3), (0, 2, 3, 4, 6, 1), (0, 1), (0, 1), (0, 1, 2))[place])
    return struct.pack(">II", *sides) + bytes(rest)


def _pixels(raw: bytes, rng: Random) -> bytes:
    return rng.choice((_changed(raw, rng), raw[: len(raw) // 2], raw * 3, raw + bytes(2**22), b""))


def _changed(body: bytes, rng: Random) -> bytes:
    if not body:
        return rng.randbytes(rng.randrange(9))
    place = rng.randrange(len(body))
    return rng.choice(
        (
            body[:place] + bytes([rng.randrange(256)]) + body[place + 1 :],
            body[:place],
            body + rng.randbytes(3),
            body[:place] + struct.pack(">I", rng.choice(INTEGERS) % 2**32) + body[place + 4 :],
        )
    )


_TAGS = (
    254,
    256,
    257,
    258,
    259,
    262,
    266,
    270,
    273,
    274,
    277,
    278,
    279,
    282,
    284,
    305,
    317,
    320,
    322,
    323,
    324,
    325,
    330,
    338,
    339,
    347,
    530,
    32997,
    32998,
    34665,
    42112,
    42113,
    50838,
    50839,
)
_VALUES = {
    259: (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34712, 34887, 34925, 50000, 50001, 50002, 50013),
    262: (0, 1, 2, 3, 4, 5, 6, 8, 32803, 34892),
    258: (1, 2, 4, 7, 8, 12, 16, 24, 32, 64),
    339: (1, 2, 3, 4, 5, 6),
    274: (0, 1, 5, 6, 8, 9),
    284: (1, 2, 3),
    317: (1, 2, 3, 34892),
    338: (0, 1, 2),
}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def tiff(data: bytes, rng: Random) -> bytes:
    """A TIFF or BigTIFF with one entry of one directory changed, or what an entry points to."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    wide, entry, count = ("Q", 20, ("Q", 8)) if big else ("I", 12, ("H", 2))
    directories = _directories(data, order + wide, order + count[0], (8 if big else 4, entry, count[1]))
    start = rng.choice(directories)
    (entries,) = struct.unpack_from(order + count[0], data, start)
    place = start + count[1] + entry * rng.randrange(max(min(entries, 100), 1))
    tag, kind, number, value = struct.unpack_from(f"{order}HH{wide}{wide}", data, place)
    change, most = rng.randrange(8), 256 ** struct.calcsize(wide)
    if change == 0:
        tag = rng.choice(_TAGS)
    elif change == 1:
        kind = rng.choice((*_SIZES, 0, 14, 255))
    elif change == 2:
        number = rng.choice((number + 1, number * 2, *INTEGERS)) % most
    elif change == 3:
        value = rng.choice((start, 0, len(data), *directories, *INTEGERS)) % most
    elif change == 4 and rng.random() < 0.3:  # the directory that follows: itself, the first, or nowhere
        behind = start + count[1] + entry * entries
        return _put(data, behind, struct.pack(order + wide, rng.choice((*directories, start, len(data) + 8, 3)) % most))
    elif _SIZES.get(kind, 1) * number > struct.calcsize(wide):  # what it points to
        return _put(
            data, value + rng.randrange(_SIZES.get(kind, 1) * min(number, 4096)), rng.randbytes(rng.choice((1, 2, 4)))
        )
    else:
        short = order + {1: "B", 3: "H", 4: "I"}.get(kind, wide)
        fresh = rng.choice((*_VALUES.get(tag, ()), *INTEGERS)) % 256 ** struct.calcsize(short)
        return _put(data, place + 4 + struct.calcsize(wide), struct.pack(short, fresh))
    return _put(data, place, struct.pack(f"{order}HH{wide}{wide}", tag, kind, number, value))


def _directories(data: bytes, offset: str, count: str, sizes: tuple[int, int, int]) -> list[int]:
    """Where the directories start."""
    first, entry, head = sizes
    found: list[int] = []
    (place,) = struct.unpack_from(offset, data, 8 if first == 8 else 4)
    while place and place not in found and len(found) < 1000:
        found.append(place)
        (entries,) = struct.unpack_from(count, data, place)
        (place,) = struct.unpack_from(offset, data, place + head + entry * entries)
    return found


def _put(data: bytes, place: int, fresh: bytes) -> bytes:
    return data[:place] + fresh + data[place + len(fresh) :]
