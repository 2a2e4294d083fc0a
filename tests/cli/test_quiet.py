"""What frameworks print and write on their own account."""

import os
import subprocess
import sys

import keras
import pytest
from pictures import disks

from keras_unetpp.graph.build import build

CODE = "import sys; from keras_unetpp.cli import main; sys.exit(max(main(line.split()) for line in sys.argv[1:]))"


@pytest.mark.slow
def test_commands_print_what_they_say_and_leave_nothing_in_the_users_folder(tmp_path):
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: pip install 'keras-unetpp[onnx]'")
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'keras-unetpp[mobile]'")
    data, home = disks(tmp_path / "data"), tmp_path / "home"
    home.mkdir()
    keras.utils.set_random_seed(0)
    build((None, None, 3), width=4, depth=2, deep_supervision=True).save(tmp_path / "m.keras")
    bits = f"--quantize int8 --calibration {data}/images --min-agreement 0"
    lines = [
        f"export {tmp_path}/m.keras {tmp_path}/a.tflite --size 48,48",
        f"export {tmp_path}/m.keras {tmp_path}/b.tflite --size 48,48 --labelled {data} --max-drop 1 {bits}",
        f"export {tmp_path}/m.keras {tmp_path}/a.onnx {bits}",
        *(f"predict {data}/images {tmp_path}/out --model {tmp_path}/{name}" for name in ("b.tflite", "a.onnx")),
    ]
    own = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    done = subprocess.run([sys.executable, "-c", CODE, *lines], capture_output=True, text=True, check=False,
                          env={**environment, "HOME": str(home)})  # fmt: skip
    assert done.returncode == 0, done.stderr
    odd = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith(("note: ", "segmenting"))]
    assert odd == []
    assert not (home / ".cache" / "Microsoft").exists()
