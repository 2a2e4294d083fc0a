import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_unetpp.cli import main
from keras_unetpp.data.images import write_png
from keras_unetpp.exporting import export
from keras_unetpp.formats.artefact import Artefact
from keras_unetpp.formats.saved_model import operations
from keras_unetpp.formats.signature import Signature
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.spec.fields import FIELDS

IMAGE = np.zeros((1, 8, 8, 1), np.float32)


def saved(function, folder, **more):
    """A SavedModel of one function that tells of itself what an export tells."""
    own = Signature((1,), (None, None), "float32", "probabilities", 1, 1, "sigmoid")
    text = folder.parent / "signature.json"
    text.parent.mkdir()
    text.write_text(own.to_json())
    module = tf.Module()
    module.assets = [tf.saved_model.Asset(str(text))]
    for name, value in more.items():
        setattr(module, name, value)
    traced = tf.function(function).get_concrete_function(tf.TensorSpec((None, None, None, 1), tf.float32, name="image"))
    tf.saved_model.save(module, str(folder), signatures={"L1": traced})
    return folder


def writes(path):
    def run(image):
        with tf.control_dependencies([tf.io.write_file(str(path), "text")]):
            return {"probabilities": image / 255}

    return run


def saves(path):
    def run(image):
        with tf.control_dependencies([tf.raw_ops.SaveV2(prefix=str(path), tensor_names=["x"], shape_and_slices=[""],
                                                        tensors=[image])]):  # fmt: skip
            return {"probabilities": image / 255}

    return run


def reads(path):
    def run(image):
        return {"probabilities": image / 255 + tf.cast(tf.strings.length(tf.io.read_file(str(path))), tf.float32)}

    return run


def prints(path):
    def run(image):
        tf.print("text", output_stream=f"file://{path}")
        return {"probabilities": image / 255}

    return run


def calls(path):
    inner = tf.function(writes(path))
    return lambda image: tf.cond(tf.size(image) > 0, lambda: inner(image), lambda: {"probabilities": image})


@pytest.mark.parametrize(
    ("make", "name"),
    [(writes, "WriteFile"), (saves, "SaveV2"), (reads, "ReadFile"), (prints, "PrintV2"), (calls, "WriteFile")],
)
def test_programs_that_do_more_than_compute(make, name, tmp_path):
    folder = saved(make(tmp_path / "pwned"), tmp_path / "m" / "1")
    (tmp_path / "pwned").unlink(missing_ok=True)
    with pytest.raises(InputError, match=rf"m/1 holds what no export of this package writes: .*{name}.*trusted=True"):
        operations.check(folder)
    assert not (tmp_path / "pwned").exists()


def turns(image, most):
    (image,) = tf.while_loop(lambda x: tf.reduce_sum(x) < 1, lambda x: (x * 1,), [image], maximum_iterations=most)
    return {"probabilities": image}


@pytest.mark.parametrize("most", [None, 2**31 - 1])
def test_loops_without_a_limit(most, tmp_path):
    folder = saved(lambda image: turns(image, most), tmp_path / "m" / "1")
    with pytest.raises(InputError, match=r"writes: a loop without a limit, .*while"):
        operations.check(folder)


def test_loops_with_a_limit(tmp_path):
    assert not Artefact(saved(lambda image: turns(image, 9), tmp_path / "m" / "1"))(IMAGE)["L1"].any()


@pytest.mark.parametrize("part", ["cond", "body"])
def test_loops_that_do_not_keep_to_their_limit(part, tmp_path):
    folder = saved(lambda image: turns(image, 9), tmp_path / "m" / "1")
    found = saved_model_pb2.SavedModel()
    found.ParseFromString((folder / "saved_model.pb").read_bytes())
    library = {one.signature.name: one for one in found.meta_graphs[0].graph_def.library.function}
    (loop,) = [node for one in library.values() for node in one.node_def if "While" in node.op]
    function = library[loop.attr[part].func.name]
    turns_done = function.signature.input_arg[0].name
    if part == "cond":
        (compare,) = [node for node in function.node_def if list(node.input[:1]) == [turns_done]]
        compare.input[1] = turns_done
    else:
        function.ret[function.signature.output_arg[0].name] = turns_done
    (folder / "saved_model.pb").write_bytes(found.SerializeToString())
    with pytest.raises(InputError, match=r"a loop without a limit"):
        operations.check(folder)


def test_one_that_is_trusted_runs(tmp_path):
    folder = saved(writes(tmp_path / "written"), tmp_path / "m" / "1")
    Artefact(folder, trusted=True)(IMAGE)
    assert (tmp_path / "written").read_text() == "text"


def test_the_word_trusted_of_the_commands(tmp_path, capsys):
    folder = saved(writes(tmp_path / "written"), tmp_path / "m" / "1")
    (tmp_path / "written").unlink(missing_ok=True)
    (tmp_path / "in").mkdir()
    write_png(tmp_path / "in" / "a.png", np.zeros((8, 8), np.uint8))
    predict = ["predict", str(tmp_path / "in"), str(tmp_path / "out"), "--model", str(folder)]
    assert main(predict) == 2
    assert "--trusted" in capsys.readouterr().err
    assert not (tmp_path / "written").exists()
    assert main([*predict, "--trusted"]) == 0
    assert (tmp_path / "written").read_text() == "text"
    assert main(["levels", "--model", str(folder), "--size", "8,8", "--repeat", "1"]) == 2
    assert main(["levels", "--model", str(folder), "--size", "8,8", "--repeat", "1", "--trusted"]) == 0


def test_tables_that_read_files_when_they_are_loaded(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")
    whole, line = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    words = tf.lookup.TextFileInitializer(str(tmp_path / "words.txt"), tf.string, whole, tf.int64, line)
    table = tf.lookup.StaticHashTable(words, -1)
    folder = saved(lambda image: {"probabilities": image / 255}, tmp_path / "m" / "1", table=table)
    with pytest.raises(InputError, match=r"holds what no export of this package writes: "):
        operations.check(folder)


def test_a_second_graph_beside_the_first(tmp_path):
    folder = saved(lambda image: {"probabilities": image / 255}, tmp_path / "m" / "1")
    assert Artefact(folder)(IMAGE)["L1"].shape == (1, 8, 8, 1)
    for name in ("saved_model.cpb", "saved_model.pbtxt"):
        (folder / name).write_bytes(b"")
        with pytest.raises(InputError, match=rf"holds what no export of this package writes: {name}"):
            operations.check(folder)
        (folder / name).unlink()


def test_saving_functions_are_for_saving_only(tmp_path):
    folder = saved(lambda image: {"probabilities": image / 255}, tmp_path / "m" / "1")
    operations.check(folder)
    found = saved_model_pb2.SavedModel()
    found.ParseFromString((folder / "saved_model.pb").read_bytes())
    (graph,) = found.meta_graphs
    node = graph.saver_def.save_tensor_name.split(":")[0]

    def refused(change, text):
        other = saved_model_pb2.SavedModel()
        other.CopyFrom(found)
        change(other.meta_graphs[0])
        target = tmp_path / "other" / "1"
        shutil.copytree(folder, target, dirs_exist_ok=True)
        (target / "saved_model.pb").write_bytes(other.SerializeToString())
        with pytest.raises(InputError, match=text):
            operations.check(target)

    (saving,) = [one for one in graph.graph_def.node if one.name == node]
    function = saving.attr["f"].func.name
    refused(lambda own: own.collection_def["saved_model_main_op"].node_list.value.append(node), f"use of {node}")
    refused(lambda own: own.ClearField("saver_def"), r"writes: .*SaveV2")
    refused(lambda own: own.ClearField("object_graph_def"), r"graphs without objects")
    refused(lambda own: own.object_graph_def.concrete_functions[function].SetInParent(), r"writes: .*SaveV2")
    used = next(one for one in graph.graph_def.library.function if one.signature.name != function)

    def call(own):
        (body,) = [one for one in own.graph_def.library.function if one.signature.name == used.signature.name]
        body.node_def.add(name="more", op="StatefulPartitionedCall").attr["f"].func.name = function

    refused(call, r"writes: .*SaveV2")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x01" * 50])
def test_what_is_no_saved_model(content, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(InputError, match=r"(no readable saved_model\.pb|what no export of this package writes)"):
        operations.check(tmp_path)


CHOICES = [{name: value} for name in ("block", "norm", "activation", "up", "normalization")
           for value in FIELDS[name].metadata["allowed"]]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("fields", CHOICES, ids=str)
def test_what_export_writes_is_known(fields, tmp_path):
    keras.utils.set_random_seed(0)
    export(build((None, None, 3), **{"width": 8, "depth": 1, **fields}), tmp_path / "1", levels=1, verify=False)
    operations.check(tmp_path / "1")
