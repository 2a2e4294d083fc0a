import base64
import io
import json
import re
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_unetpp.exporting import export
from keras_unetpp.formats.saved_model.serving import write_config
from keras_unetpp.graph.build import build
from keras_unetpp.kit.errors import InputError
from keras_unetpp.prediction.predictor import segment

DOCS = Path(__file__).parents[3] / "docs" / "serving.md"
PROTOS = pytest.mark.skipif(
    find_spec("tensorflow_serving") is None, reason="not installed: pip install tensorflow-serving-api"
)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return build((None, None, 3), width=4, depth=1, normalization="standardize")


@pytest.fixture(scope="module")
def root(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("serving")
    export(model, path / "nuclei" / "1", verify=False, warmup=find_spec("tensorflow_serving") is not None)
    return path


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    pixels = np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("image") / "cells.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def signatures(root):
    return tf.saved_model.load(str(root / "nuclei" / "1")).signatures


def client(number):
    """The functions of one Python block of the page."""
    names = {}
    exec(re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[number], names)
    return names


def rest_server(signatures):
    """Answers one request as the server's REST interface does: bytes in base64 where a name ends in `_bytes`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/v1/models/nuclei:predict"
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            texts = [base64.b64decode(row["image"]["b64"]) for row in asked["instances"]]
            outputs = signatures[asked["signature_name"]](image=tf.constant(texts))
            rows = [{} for _ in texts]
            for name, tensor in outputs.items():
                for row, value in zip(rows, tensor.numpy().tolist(), strict=True):
                    assert not isinstance(value, bytes) or name.endswith("_bytes")
                    row[name] = {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"predictions": rows}).encode())

        def log_message(self, *arguments):
            pass

    return HTTPServer(("localhost", 0), Handler)


def test_the_rest_client_of_the_docs(signatures, model, image):
    with rest_server(signatures) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://localhost:{server.server_port}/v1/models/nuclei:predict"
        png = client(0)["mask_by_rest"](image, url)
    probabilities = segment(model, image)[..., 0]
    clear = np.abs(probabilities - 0.5) > 1e-4
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png)))[clear], (probabilities > 0.5)[clear])


@PROTOS
def test_the_grpc_client_of_the_docs(signatures, model, image):
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            assert request.model_spec.name == "nuclei"
            inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
            outputs = signatures[request.model_spec.signature_name](**inputs)
            answer = predict_pb2.PredictResponse()
            for name in request.output_filter:
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name].numpy()))
            return answer

    server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    got = client(1)["probabilities_by_grpc"](image, f"localhost:{port}")
    server.stop(None).wait()
    np.testing.assert_allclose(got, segment(model, image), atol=1e-5)


@PROTOS
def test_warm_up_requests_run(root, signatures):
    from tensorflow_serving.apis import prediction_log_pb2

    path = root / "nuclei" / "1" / "assets.extra" / "tf_serving_warmup_requests"
    seen = {}
    for record in tf.data.TFRecordDataset(str(path)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == "nuclei"
        inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        seen[request.model_spec.signature_name] = signatures[request.model_spec.signature_name](**inputs)
    assert sorted(seen) == sorted(signatures) == ["L1", "image_bytes", "serving_default"]
    assert all(outputs["probabilities"].shape == (1, 256, 256, 1) for outputs in seen.values())


@pytest.mark.skipif(find_spec("tensorflow_serving") is not None, reason="tensorflow-serving-api is installed")
def test_warm_up_without_the_package(model, tmp_path):
    with pytest.raises(InputError, match=r"needs tensorflow_serving\. Install: pip install 'keras-unetpp\[serving\]'"):
        export(model, tmp_path / "1", warmup=True)


def test_server_configuration(root, tmp_path):
    assert write_config(root, base="/srv") == ["nuclei"]
    assert (root / "models.config").read_text() == (
        'model_config_list {\n  config { name: "nuclei" base_path: "/srv/nuclei" model_platform: "tensorflow" }\n}\n'
    )
    assert (root / "batching.config").read_text() == (
        "max_batch_size { value: 16 }\nbatch_timeout_micros { value: 2000 }\n"
    )
    with pytest.raises(InputError, match=r"must hold SavedModels NAME/VERSION, such as nuclei/1\."):
        write_config(tmp_path)


@PROTOS
def test_the_server_reads_the_configuration(root):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    write_config(root)
    text = (root / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (row,) = config.model_config_list.config
    assert (row.name, row.base_path, row.model_platform) == ("nuclei", "/models/nuclei", "tensorflow")
