# Everything runs in a virtual environment that is made on first use; `make clean` removes it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
WORKERS := -n 2 --dist worksteal
MEDIAPIPE := .venv-mediapipe/bin
JAX := .venv-jax/bin

.PHONY: demo test sweep fuzz backends fast mediapipe lint clean

demo: .venv/demo.stamp  ## segment real microscopy with the trained model from the zoo
	$(BIN)/python tools/demo.py demo-output

test: lint  ## the gate: style, types, all tests but the sweeps
	$(BIN)/python -m pytest -q $(WORKERS) -m "not sweep"

sweep: .venv/dev.stamp  ## every row of the tables that the gate samples
	$(BIN)/python -m pytest -q $(WORKERS) -m sweep

fuzz: .venv/dev.stamp  ## files of every kind, changed and read for a minute
	$(BIN)/python tools/fuzz_files.py --seconds 60

backends:  ## what holds on TensorFlow holds on JAX, in an environment of its own
	test -x $(JAX)/python || $(PYTHON) -m venv .venv-jax
	$(JAX)/python -m pip install --quiet --disable-pip-version-check --editable ".[jax]"
	$(JAX)/python -m pytest -q tests/graph/test_backend.py tests/training/test_other_backends.py -k jax

fast: lint  ## the gate without the slow tests
	$(BIN)/python -m pytest -q $(WORKERS) -m "not slow and not sweep"

mediapipe:  ## MediaPipe's own image segmenter on an exported file, in an environment of its own
	test -x $(MEDIAPIPE)/python || $(PYTHON) -m venv .venv-mediapipe
	$(MEDIAPIPE)/python -m pip install --quiet --disable-pip-version-check --editable ".[mediapipe]"
	$(MEDIAPIPE)/python -m pytest -q tests/formats/tflite/test_mediapipe.py

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/%.stamp: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	touch $@

clean:
	rm -rf .venv .venv-jax .venv-mediapipe build dist demo-output *.egg-info
