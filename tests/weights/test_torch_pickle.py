"""No pickle makes anything run; each of those that try is refused by name."""

import io
import os
import pickle
from collections import OrderedDict

import pytest

from keras_unetpp.weights.torch_pickle import Forbidden, Malformed, Storage, Tensor, read

DICT = b"ccollections\nOrderedDict\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQ"


def program(*parts):
    return b"\x80\x02" + b"".join(parts) + b"."


def outcome(data):
    return read(io.BytesIO(data))[0]


class Calls:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def bomb():
    """A few bytes that stand for 2^60 numbers."""
    return b"K\x01" + b"q\x00h\x00\x86" * 60


@pytest.fixture
def witness(tmp_path):
    """A file that every attack below would make."""
    path = tmp_path / "it ran"
    yield path
    assert not path.exists()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "argument", "names"),
    [
        (os.system, "touch '{}'", [f"{os.name}.system"]),
        (eval, "open({!r}, 'w')", ["builtins.eval", "__builtin__.eval"]),
        (exec, "open({!r}, 'w')", ["builtins.exec", "__builtin__.exec"]),
        (open, "{}", ["io.open", "_io.open"]),
    ],
)
def test_nothing_runs(witness, protocol, function, argument, names):
    arguments = (argument.format(str(witness)), *("w" if function is open else ""))
    data = pickle.dumps({"weight": Calls(function, *arguments)}, protocol)
    with pytest.raises(Forbidden) as caught:
        outcome(data)
    assert str(caught.value) in names
    assert not witness.exists()
    pickle.loads(data)
    assert witness.exists()
    witness.unlink()


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (b"cbuiltins\ngetattr\n(cos\nsystem\nX\x01\x00\x00\x00atR", "builtins.getattr"),
        (b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "torch._utils._rebuild_tensor_v2.__globals__"),
        (b"ccollections\nOrderedDict.__init__\n", "collections.OrderedDict.__init__"),
        (b"X\x05\x00\x00\x00posixX\x06\x00\x00\x00system\x93", "posix.system"),
        (b"ctorch.serialization\nload\n", "torch.serialization.load"),
        (b"ctorchvision.models.resnet\nResNet\n)\x81", "torchvision.models.resnet.ResNet"),
        (b"ckeras_unetpp.weights.torch_pickle\nread\n", "keras_unetpp.weights.torch_pickle.read"),
        (b"c\n\n", "."),
    ],
)
def test_other_names_are_refused(attack, name):
    with pytest.raises(Forbidden) as caught:
        outcome(program(attack))
    assert str(caught.value) == name


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (b"(cos\nsystem\n", "Forbidden"),
        (b"(X\x02\x00\x00\x00lsios\nsystem\n", "instruction INST"),
        (b"(" + DICT + b"o", "instruction OBJ"),
        (DICT + b")\x81", "instruction NEWOBJ"),
        (DICT + b")}\x92", "instruction NEWOBJ_EX"),
        (b"\x82\x01", "instruction EXT1"),
        (b"Psome id\n", "instruction PERSID"),
        (DICT + b"X\x01\x00\x00\x00aR", "without a tuple of arguments"),
        (DICT + b"(K\x01K\x02tR", "TypeError"),
        (DICT + b"(X\x01\x00\x00\x00atR", "ValueError"),
        (DICT + b"(](" + DICT + b"K\x01tatR", "a key is a _Name"),
        (b"X\x01\x00\x00\x00a)R", "it calls str"),
        (b"ctorch\nFloatStorage\n)R", "it calls torch.FloatStorage, which is no function"),
        (REBUILD + b"(K\x01K\x00))tR", "a int stands where a Storage is expected"),
        (REBUILD + b")R", "TypeError"),
        (REBUILD + b"(" + STORAGE + b"J\xff\xff\xff\xff))tR", "a count is -1"),
        (REBUILD + b"(" + STORAGE + b"K\x00(K\x02t)tR", "1 sides and 0 strides"),
        (REBUILD + b"(" + STORAGE + b"K\x00(\x88t(K\x01ttR", "a bool stands where a int is expected"),
        (REBUILD + b"(" + STORAGE + b"K\x00(G?\xf0\x00\x00\x00\x00\x00\x00t(K\x01ttR", "a float stands where"),
        (STORAGE.replace(b"storage", b"systems"), "refers to a 'systems'"),
        (STORAGE.replace(b"K\x06", b"X\x01\x00\x00\x006"), "a str stands where a int is expected"),
        (STORAGE + STORAGE.replace(b"K\x06", b"K\x07"), "'0' is described in two ways"),
        (STORAGE.replace(b"ctorch\nFloatStorage\n", DICT), "KeyError"),
        (b"K\x01}b", "a int stands where a dict is expected"),
        (REBUILD + b"}b", "a _Name stands where a dict is expected"),
        (b"]K\x01K\x02s", "a list stands where a dict is expected"),
        (b"}K\x01a", "a dict stands where a list is expected"),
        (b"})K\x01s", "a key is a tuple"),
        (b"}(K\x01u", "ValueError"),
        (b"\x85", "takes more from its stack"),
        (b"t", "IndexError"),
        (b"h\x05", "KeyError"),
        (b"r\xff\xff\xff\x7f", "IndexError"),
        (b"K\x01K\x02", "ValueError"),
        (b"", "ValueError"),
        (b"X\xff\xff\xff\x7fshort", "ValueError"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fshort", "ValueError"),
        (b"\xff", "ValueError"),
    ],
)
def test_odd_instructions_and_arguments_are_refused(attack, message):
    with pytest.raises((Malformed, Forbidden)) as caught:
        outcome(program(attack))
    assert message in f"{caught.type.__name__} {caught.value}"


def test_a_far_place_of_the_memo_takes_no_memory():
    assert outcome(program(b"K\x05r\xff\xff\xff\x7f")) == 5


@pytest.mark.parametrize(
    "attack",
    [
        bomb() + b"X\x01\x00\x00\x00a\x93",
        b"(" + bomb() + STORAGE[1:].partition(b"storage")[2],
        REBUILD + b"(" + bomb() + b"K\x00))tR",
        b"}" + bomb() + b"K\x01s",
        bomb() + b")R",
    ],
)
def test_what_would_print_as_gigabytes_is_not_printed(attack):
    with pytest.raises(Malformed, match="tuple"):
        outcome(program(attack))


def test_attributes_are_left_out():
    data = program(DICT, b")R}X\x09\x00\x00\x00__class__", DICT, b"sb")
    assert type(outcome(data)) is dict


def test_depth_and_repetition_cost_nothing():
    assert outcome(program(b")", b"\x85" * 100_000))
    steps = (b"(h%ch%clq%c" % (i, i, i + 1) for i in range(200))
    assert len(outcome(program(b"(]q\x00", *steps, b"t"))) == 201


def test_no_end():
    for end in range(len(program(STORAGE))):
        with pytest.raises(Malformed):
            outcome(program(STORAGE)[:end])


@pytest.mark.parametrize("protocol", range(6))
def test_plain_containers_come_out_as_they_are(protocol):
    value = {"a": [1, -2, 2**70, True, None, 0.5], "b": (), "c": (1,), "d": (1, 2), "e": (1, 2, 3), "f": (1, 2, 3, 4)}
    value |= {"g": {}, 3: ["é" * 300, "short"], "ordered": OrderedDict(x=1, y=(2, [3]))}
    value["again"] = value["a"]
    data = pickle.dumps(value, protocol)
    assert outcome(data) == value


def test_a_tensor_and_its_storage():
    data = program(REBUILD, b"(", STORAGE, b"K\x01(K\x02K\x01t(K\x02K\x01t\x89", DICT, b")RtR")
    found, storages = read(io.BytesIO(data))
    storage = Storage(key="0", kind="f4", size=6)
    assert found == Tensor(storage, offset=1, shape=(2, 1), strides=(2, 1))
    assert storages == {"0": storage}


def test_pickles_one_after_another():
    stream = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps([2], 2) + b"rest")
    assert [read(stream)[0], read(stream)[0], stream.read()] == [1, [2], b"rest"]
