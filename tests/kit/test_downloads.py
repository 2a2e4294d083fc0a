"""Downloads from servers that are silent, slow, cut off, or lead elsewhere."""

import http.server
import socket
import threading
import time
import urllib.error

import pytest

from keras_unetpp.kit import downloads
from keras_unetpp.kit.downloads import retrieve


@pytest.fixture
def serve():
    """Start a server whose answers a function gives; its address."""
    servers = []

    def start(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self)

            def log_message(self, *_):
                pass

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/weights.h5"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler, body, length=None):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_whole_file(serve, tmp_path):
    body, seen = bytes(range(256)) * 4000, []
    retrieve(serve(lambda handler: send(handler, body)), tmp_path / "f", lambda *told: seen.append(told))
    assert (tmp_path / "f").read_bytes() == body
    assert seen[-1] == (1, len(body), len(body))


def test_a_silent_server(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "PATIENCE", 0.3)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        start = time.monotonic()
        with pytest.raises(TimeoutError, match=r"^127\.0\.0\.1 did not answer within 0 seconds$"):
            retrieve(f"http://127.0.0.1:{listening.getsockname()[1]}/f", tmp_path / "f")
    assert time.monotonic() - start < 5


def test_a_head_that_comes_byte_by_byte(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "PATIENCE", 0.5)

    def answer(handler):
        for letter in b"HTTP/1.0 200 OK\r\nX-Long: " + b"x" * 40:
            handler.wfile.write(bytes([letter]))
            time.sleep(0.05)

    with pytest.raises(TimeoutError, match="did not answer"):
        retrieve(serve(answer), tmp_path / "f")


def test_a_server_that_falls_silent(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "PATIENCE", 0.5)

    def answer(handler):
        send(handler, b"some", 10)
        time.sleep(2)

    with pytest.raises(TimeoutError, match=r"^127\.0\.0\.1 fell silent for 0 seconds$"):
        retrieve(serve(answer), tmp_path / "f")


def test_a_server_that_drips(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "MINUTE", 0.3)

    def answer(handler):
        send(handler, b"", 1000)
        for _ in range(40):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    with pytest.raises(TimeoutError, match=r"^127\.0\.0\.1 sent \d+ bytes in 0 seconds, \d+ in all$"):
        retrieve(serve(answer), tmp_path / "f")


def test_a_file_cut_off(serve, tmp_path):
    with pytest.raises(urllib.error.ContentTooShortError, match="got only 4 of 10 bytes"):
        retrieve(serve(lambda handler: send(handler, b"some", 10)), tmp_path / "f")


def test_a_file_without_end(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "MOST_BYTES", 1000)
    with pytest.raises(urllib.error.URLError, match="sends more than 1,000 bytes"):
        retrieve(serve(lambda handler: send(handler, bytes(5000))), tmp_path / "f")


@pytest.mark.parametrize(("asked", "came"), [("https://a/f", "http://a/f"), ("http://a/f", "ftp://a/f")])
def test_a_way_that_is_less_safe_is_not_gone(asked, came):
    with pytest.raises(urllib.error.URLError, match="it leads from"):
        downloads._check_address(asked, came)
