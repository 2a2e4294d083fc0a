import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile

import keras
import numpy as np
import pytest

from keras_unetpp.exporting import export
from keras_unetpp.formats.artefact import Artefact, open_file
from keras_unetpp.formats.runtime import LONGEST
from keras_unetpp.formats.signature import Signature
from keras_unetpp.formats.tflite import flatbuffer
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed: pip install 'keras-unetpp[mobile]'")
pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")

IMAGE = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(0)
    model = build((16, 16, 1), width=4, depth=1, norm="none")
    for name in ("a.tflite", "a.onnx"):
        export(model, folder / name, verify=False)
    return folder


@pytest.fixture
def endless(tmp_path):
    """An ONNX file whose loop has 2^62 turns."""
    from onnx import TensorProto, helper

    def value(name, kind=TensorProto.FLOAT, shape=(None, None, None, 1)):
        return helper.make_tensor_value_info(name, kind, shape)

    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["go"]), helper.make_node("Add", ["x", "x"], ["y"])], "body",
        [value("turn", TensorProto.INT64, ()), value("on", TensorProto.BOOL, ()), value("x")],
        [value("go", TensorProto.BOOL, ()), value("y")],
    )  # fmt: skip
    constants = [helper.make_tensor("turns", TensorProto.INT64, [], [2**62]),
                 helper.make_tensor("true", TensorProto.BOOL, [], [True])]  # fmt: skip
    loop = helper.make_node("Loop", ["turns", "true", "image"], ["L1"], body=body)
    graph = helper.make_graph([loop], "graph", [value("image")], [value("L1")], constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "endless.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def gone(pid):
    """Whether a process has ended, waiting a little."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{pid}/stat") as file:
            if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("name", ["a.tflite", "a.onnx"])
def test_it_gives_what_this_process_gives(name, files):
    inside, (functions, texts) = open_file(files / name, inside=True), open_file(files / name)
    assert texts == inside.texts
    assert texts["shape"] == "[16, 16, 1]"
    for images in (IMAGE, IMAGE[:1].astype(np.float32), np.concatenate([IMAGE] * 40)):
        result = functions["L1"](images)
        np.testing.assert_array_equal(result, inside.functions["L1"](images))
        assert 0 < functions["L1"].seconds < 10
    first = functions["L1"](IMAGE)
    functions["L1"](IMAGE * 0)
    np.testing.assert_array_equal(first, inside.functions["L1"](IMAGE))


def test_several_threads_at_once(files):
    run, results = open_file(files / "a.tflite").functions["L1"], {}
    images = {number: np.full((1, 16, 16, 1), 20 * number, np.float32) for number in range(8)}
    threads = [threading.Thread(target=lambda one=number: results.update({one: run(images[one])})) for number in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, image in images.items():
        np.testing.assert_array_equal(results[number], run(image))


def test_a_damaged_file_ends_its_own_process_only(files, tmp_path):
    tree = flatbuffer.read((files / "a.tflite").read_bytes())
    for operation in tree.subgraphs[0].operators:
        operation.inputs = []
    (tmp_path / "m.tflite").write_bytes(flatbuffer.pack(tree))
    for _ in range(2):
        with pytest.raises(InputError, match=r"(LiteRT cannot run|is no readable \.tflite file)"):
            open_file(tmp_path / "m.tflite").functions["L1"](IMAGE)


def test_a_signal_is_an_error_and_the_next_call_starts_anew(endless, files):
    run = open_file(endless).functions["L1"]
    done = threading.Event()

    def kill():
        while not done.wait(0.5):
            run._process._pipe.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(InputError, match=r"ONNX Runtime cannot run the file: .* ended its process by SIGKILL, as dam"):
        run(IMAGE.astype(np.float32))
    done.set()
    killer.join()
    run = open_file(files / "a.onnx").functions["L1"]
    expected = run(IMAGE)
    run._process._pipe.kill()
    run._process._pipe.wait()
    np.testing.assert_array_equal(run(IMAGE), expected)


CALLER = """
import sys, numpy as np
from keras_unetpp.formats.artefact import open_file
run = open_file(sys.argv[1]).functions["L1"]
print(run._process._pipe.pid, flush=True)
run(np.zeros((1, 8, 8, 1), "float32"))
"""


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks at /proc for processes that are left")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_when_its_caller_is_stopped(how, endless):
    command = [sys.executable, "-c", CALLER, str(endless)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as caller:
        pid = int(caller.stdout.readline())
        time.sleep(1)
        caller.send_signal(how)
        assert caller.wait(20) != 0
    assert gone(pid)


def with_texts(source, target, texts, compression=zipfile.ZIP_STORED):
    """A TFLite file with other texts behind it."""
    data = source.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start = min(item.header_offset for item in archive.infolist())
        kept = {name: archive.read(name) for name in archive.namelist()}
    stream = io.BytesIO(data[:start])
    with zipfile.ZipFile(stream, "a", compression) as archive:
        for name, text in {**kept, **texts}.items():
            archive.writestr(name, text)
    target.write_bytes(stream.getvalue())
    return target


def signature(**fields):
    own = json.loads(Signature((1,), (16, 16), "float32", "probabilities", 1, 1, "sigmoid", 2).to_json())
    return json.dumps(own | fields)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"labels.txt": "a" * (LONGEST + 1)}, r"labels\.txt in .*a\.tflite must be a text of at most 1048576 bytes"),
        ({"labels.txt": b"\xe9"}, r"labels\.txt in .*a\.tflite must be text in UTF-8\. Received: "),
        ({"spec.json": "[" * 100000}, r"a\.tflite holds no Spec of a network: .*nested deeper than 32 levels"),
        ({"spec.json": "{"}, r"Spec"),
        ({"signature.json": "[" * 100000}, r"must be JSON with all fields of Signature\. Received: '\[\[\["),
        ({"signature.json": signature(levels=[1, 2])}, r"should have L2, by its signature\. Export it again\."),
        ({"signature.json": signature(sides=[16, 32])}, r"takes images of \(16, 16, 1\), by its signature of \(16, 32"),
        ({"signature.json": signature(channels=3)}, r"takes images of \(16, 16, 1\), by its signature of \(16, 16, 3"),
        *(
            ({"signature.json": signature(**{name: value})}, rf"{name} of a file's signature does not fit\. Received: ")
            for name, value in (
                *(("levels", one) for one in (5, [], [0], ["../x"], [[1]], [1, 1], [True], None)),
                *(("sides", one) for one in ("ab", [16], [16, -1], [16.5, 16], [2**15, 2**15], {"a": 1})),
                *(("divisor", 0), ("divisor", "2"), ("classes", 10**9), ("channels", 0), ("input", ["float32"])),
                *(("bytes_per_pixel", one) for one in ("x", -1, float("nan"), float("inf"), None)),
                *(("standardizes", 1), ("activation", "relu"), ("output", None)),
            )
        ),
    ],
)  # fmt: skip
def test_what_a_file_tells_of_itself_may_be_anything(texts, message, files, tmp_path):
    with pytest.raises(InputError, match=message):
        Artefact(with_texts(files / "a.tflite", tmp_path / "a.tflite", texts))


def test_texts_that_are_large_when_unpacked(files, tmp_path):
    texts = {"labels.txt": "a\n" * 20_000_000}
    path = with_texts(files / "a.tflite", tmp_path / "a.tflite", texts, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match=r"must be a text of at most 1048576 bytes\. Received: more\."):
        Artefact(path)
    data = bytearray((files / "a.tflite").read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b.tflite").write_bytes(data)
    with pytest.raises(InputError, match=r"The texts in .*b\.tflite cannot be read: .*encrypted"):
        Artefact(tmp_path / "b.tflite")
