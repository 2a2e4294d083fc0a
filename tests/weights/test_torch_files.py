"""Checkpoints in both formats, real ones and ones written by hand, whole and damaged."""

import pickle
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from keras_unetpp.kit.errors import InputError
from keras_unetpp.weights.torch_files import MAGIC, read_state_dict

REAL = Path(__file__).parent / "torch_files"
INTEGERS = ("int64", "int32", "int16", "int8")


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return f"I{value}\n".encode()


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def tensor(key="0", kind="FloatStorage", size=6, offset=0, shape=(2, 3), strides=(3, 1)):
    """A tensor as PyTorch pickles it."""
    storage = b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + number(size) + b"tQ"
    rest = number(offset) + numbers(shape) + numbers(strides) + b"\x89" + name("collections", "OrderedDict") + b")R"
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + rest + b"tR"


def mapping(**values):
    """A pickled dict of values that are pickled already."""
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in values.items()) + b"u."


def old(path, program, storages):
    """A file in the old format; storages: key -> (count, bytes)."""
    parts = [pickle.dumps(value, 2) for value in (MAGIC, 1001, {"little_endian": True})]
    parts += [program, pickle.dumps(list(storages), 2)]
    parts += [struct.pack("<q", count) + data for count, data in storages.values()]
    path.write_bytes(b"".join(parts))
    return path


def new(path, program, storages, compression=zipfile.ZIP_STORED, **more):
    """A file in the new format; more: further files."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("net/data.pkl", program)
        for key, (_, data) in storages.items():
            archive.writestr(f"net/data/{key}", data)
        for extra, data in more.items():
            archive.writestr(f"net/{extra}", data)
    return path


def six(dtype="<f4"):
    return {"0": (6, np.arange(6, dtype=dtype).tobytes())}


@pytest.mark.parametrize("file", ["old.pt", "new.pt"])
def test_real_files(file):
    found = read_state_dict(REAL / file)
    for dtype in (*INTEGERS, "float64", "float32", "float16", "complex64"):
        np.testing.assert_array_equal(found[dtype], np.arange(-2, 3).astype(dtype))
        assert found[dtype].dtype == dtype
    np.testing.assert_array_equal(found["uint8"], np.array([254, 255, 0, 1, 2], "uint8"))
    np.testing.assert_array_equal(found["bool"], [True, True, False, True, True])
    np.testing.assert_array_equal(found["bfloat16"], np.arange(-2, 3, dtype="float32"))
    whole = np.arange(24, dtype="float32").reshape(4, 6)
    for key, expected in (("whole", whole), ("transposed", whole.T), ("window", whole[1:3, 2::2])):
        np.testing.assert_array_equal(found[key], expected)
    assert np.shares_memory(found["whole"], found["transposed"])
    assert found["scalar"].shape == ()
    assert found["scalar"] == 7
    assert found["empty"].shape == (0, 3)
    np.testing.assert_array_equal(found["parameter"], np.full((2, 2), 0.5))
    assert list(found)[:2] == ["float64", "float32"]
    assert not any(array.flags.writeable for array in found.values() if array.size)


@pytest.mark.parametrize("write", [old, new])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 1, 2], [3, 4, 5]]),
        ({"shape": (3, 2), "strides": (1, 3)}, [[0, 3], [1, 4], [2, 5]]),
        ({"shape": (2,), "strides": (2,), "offset": 3}, [3, 5]),
        ({"shape": (), "strides": (), "offset": 5}, 5),
        ({"shape": (1, 6), "strides": (900, 1)}, [[0, 1, 2, 3, 4, 5]]),
        ({"shape": (0, 4), "strides": (4, 1), "offset": 6}, np.zeros((0, 4))),
    ],
)
def test_views(tmp_path, write, options, expected):
    found = read_state_dict(write(tmp_path / "a.pt", mapping(a=tensor(**options)), six()))
    np.testing.assert_array_equal(found["a"], expected)
    assert found["a"].shape == np.shape(expected)


def test_big_endian(tmp_path):
    path = new(tmp_path / "a.pt", mapping(a=tensor()), six(">f4"), byteorder="big")
    found = read_state_dict(path)["a"]
    np.testing.assert_array_equal(found, np.arange(6).reshape(2, 3))
    assert found.dtype.isnative


def test_bfloat16_is_exact(tmp_path):
    bits = np.array([0x3F80, 0xC049, 0x7F7F, 0x0001, 0xFF7F, 0x8000], "<u2")
    path = old(tmp_path / "a.pt", mapping(a=tensor(kind="BFloat16Storage")), {"0": (6, bits.tobytes())})
    expected = (bits.astype("u4") << 16).view("f4").reshape(2, 3)
    np.testing.assert_array_equal(read_state_dict(path)["a"], expected)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_a_state_dict_within_a_training_checkpoint(tmp_path, key):
    inner = b"}(" + text("a") + tensor() + b"u"
    program = mapping(epoch=number(3), **{key: inner})
    assert list(read_state_dict(new(tmp_path / "a.pt", program, six()))) == ["a"]


def refused(path, message, before="is cut off, damaged, or no PyTorch state dict"):
    """Reading must fail with an InputError that names the file, the fault and the way out."""
    with pytest.raises(InputError) as caught:
        read_state_dict(path)
    assert str(caught.value).startswith(f"{path} {before}")
    assert message in str(caught.value)
    assert "torch.save(model.state_dict(), path)." in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [old, new])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"offset": 1}, "tensor 'a' of shape (2, 3) goes beyond its 6 numbers"),
        ({"shape": (10**12, 10**12), "strides": (0, 0)}, "goes beyond its 6 numbers"),
        ({"shape": (3,), "strides": (3,)}, "goes beyond its 6 numbers"),
        ({"shape": (1,) * 33, "strides": (1,) * 33}, "goes beyond its 6 numbers"),
        ({"shape": (-1, 2)}, "a count is -1"),
        ({"strides": (3, -1)}, "a count is -1"),
        ({"offset": -2}, "a count is -2"),
        ({"shape": (0, 10**30), "strides": (1, 1)}, "Maximum allowed dimension exceeded"),
        ({"size": 10**15}, ""),
        ({"size": 7}, ""),
    ],
)
def test_views_beyond_the_numbers(tmp_path, write, options, message):
    refused(write(tmp_path / "a.pt", mapping(a=tensor(**options)), six()), message)


def test_a_count_that_the_file_cannot_hold_allocates_nothing(tmp_path):
    program = mapping(a=tensor(size=10**15))
    path = old(tmp_path / "a.pt", program, {"0": (10**15, six()["0"][1])})
    refused(path, "storage 0 needs 4000000000000000 bytes, 24 are left")
    refused(new(tmp_path / "b.pt", program, six()), "storage 0 needs 4000000000000000 bytes, 24 are left")


@pytest.mark.parametrize("file", ["old.pt", "new.pt"])
def test_cut_off_anywhere(tmp_path, file):
    data = (REAL / file).read_bytes()
    path = tmp_path / "cut.pt"
    for end in (*range(0, len(data), 97), len(data) - 1):
        path.write_bytes(data[:end])
        refused(path, "")


@pytest.mark.parametrize("file", ["old.pt", "new.pt"])
def test_damage_anywhere_ends_in_one_way_or_the_other(tmp_path, file):
    data = (REAL / file).read_bytes()
    path = tmp_path / "damaged.pt"
    random = np.random.default_rng(0)
    for place in random.integers(len(data), size=400):
        flipped = bytearray(data)
        flipped[place] ^= int(random.integers(1, 256))
        path.write_bytes(flipped)
        with suppress(InputError):
            found = read_state_dict(path)
            assert sum(array.nbytes for array in found.values()) <= 4 * len(data)


def test_a_compressed_archive(tmp_path):
    path = new(tmp_path / "a.pt", mapping(a=tensor()), {"0": (6, bytes(10**6))}, zipfile.ZIP_DEFLATED)
    refused(path, "the archive is compressed")


def test_an_archive_whose_parts_overlap(tmp_path):
    path = tmp_path / "a.pt"
    new(path, mapping(a=tensor()), six(), more="x" * 500)
    data = path.read_bytes()
    directory = data.index(b"PK\x01\x02")
    with zipfile.ZipFile(path) as archive:
        count = len(archive.infolist())
        entries, end = data[directory : archive.start_dir + 0], data[data.index(b"PK\x05\x06") :]
    last = data[data.rindex(b"PK\x01\x02") : data.index(b"PK\x05\x06")]
    copies = b"".join(last.replace(b"net/more", b"net/m%03d" % place) for place in range(20))
    listing = data[directory : data.index(b"PK\x05\x06")] + copies
    tail = struct.pack("<HHII", count + 20, count + 20, len(listing), directory)
    path.write_bytes(data[:directory] + entries + listing + end[:8] + tail + end[20:])
    refused(path, "the archive claims to hold more than the file is long")


def test_an_archive_that_points_outside_of_itself(tmp_path):
    path = new(tmp_path / "a.pt", mapping(a=tensor()), six())
    data = path.read_bytes()
    end, first = data.index(b"PK\x05\x06"), data.index(b"PK\x01\x02")
    path.write_bytes(data[: end + 16] + struct.pack("<I", 10_000) + data[end + 20 :])
    refused(path, "")
    path.write_bytes(data[: first + 42] + struct.pack("<I", 2**31) + data[first + 46 :])
    refused(path, "")


def test_an_archive_of_something_else(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(path, "the archive has 0 files data.pkl instead of one")


def test_an_archive_without_a_storage(tmp_path):
    refused(new(tmp_path / "a.pt", mapping(a=tensor()), {}), "net/data/0")


def test_a_wrong_check_sum(tmp_path):
    path = new(tmp_path / "a.pt", mapping(a=tensor()), six())
    data = path.read_bytes()
    path.write_bytes(data.replace(six()["0"][1], six()["0"][1][::-1]))
    refused(path, "Bad CRC-32")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"hello", "Malformed"),
        (pickle.dumps({"a": 1}), "it does not begin as a checkpoint does"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "at position 0, opcode b'\\x89' unknown"),
    ],
)
def test_other_files(tmp_path, data, message):
    path = tmp_path / "a.pt"
    path.write_bytes(data)
    refused(path, message if message != "Malformed" and "opcode" not in message else "")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"\x80\x02]q\x00.", "it holds a list instead of a dict"),
        (b"\x80\x02}.", "its dict has no tensors"),
        (mapping(a=tensor(), epoch=number(3)), "its dict has 'epoch', which is no tensor"),
        (mapping(state_dict=b"}", a=tensor()), "its dict has no tensors"),
    ],
)
def test_what_is_no_state_dict(tmp_path, program, message):
    storages = six() if b"torch" in program else {}
    refused(old(tmp_path / "a.pt", program, storages), message)
    refused(new(tmp_path / "b.pt", program, storages), message)


def test_storages_that_nothing_uses(tmp_path):
    path = old(tmp_path / "a.pt", mapping(a=tensor()), {**six(), "1": (6, bytes(24))})
    refused(path, "its list of storages is not the one that its tensors need")


def test_a_list_of_storages_that_would_print_as_gigabytes(tmp_path):
    path = old(tmp_path / "a.pt", mapping(a=tensor()), {})
    keys = b"\x80\x02]K\x01" + b"q\x00h\x00\x86" * 60 + b"a."
    path.write_bytes(path.read_bytes().removesuffix(pickle.dumps([], 2)) + keys)
    refused(path, "its list of storages is not the one that its tensors need")


@pytest.mark.parametrize("write", [old, new])
def test_a_call_is_refused_by_name_and_does_not_run(tmp_path, write):
    victim = tmp_path / "it ran"
    attack = name("builtins", "open") + b"(" + text(str(victim)) + text("w") + b"tR"
    path = write(tmp_path / "a.pt", mapping(a=tensor(), b=attack), six())
    refused(path, "refers to builtins.open, which is no part of a state dict; nothing of it was run.", "refers to")
    assert not victim.exists()


def test_a_call_in_the_first_pickles_is_refused_too(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(b"\x80\x02cos\nsystem\n(" + text("ls") + b"tR.")
    refused(path, "refers to os.system", "refers to")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.pt"):
        read_state_dict(tmp_path / "a.pt")


def test_memory_stays_near_the_length_of_the_file(tmp_path):
    import tracemalloc

    count = 250_000
    storages = {str(key): (count, bytes(4 * count)) for key in range(8)}
    tensors = {f"t{key}": tensor(str(key), size=count, shape=(count,), strides=(1,)) for key in range(8)}
    path = old(tmp_path / "a.pt", mapping(**tensors), storages)
    tracemalloc.start()
    found = read_state_dict(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(array.nbytes for array in found.values()) == 32 * count
    assert peak < 1.2 * path.stat().st_size
