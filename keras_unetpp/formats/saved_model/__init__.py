"""SavedModel folders, for TensorFlow Serving: what lies in them."""

GRAPH_FILE = "saved_model.pb"
"""What makes a folder a SavedModel."""

SPEC_FILE, LABELS_FILE, SIGNATURE_FILE = "spec.json", "labels.txt", "signature.json"
"""Texts about it, in `assets`."""

WARMUP_FILE = "tf_serving_warmup_requests"
"""What the server runs before it takes requests, in `assets.extra`."""

PARTS = (GRAPH_FILE, "fingerprint.pb", "variables/variables.*", f"assets.extra/{WARMUP_FILE}",
         *(f"assets/{name}" for name in (LABELS_FILE, SIGNATURE_FILE, SPEC_FILE)))  # fmt: skip
"""What one of ours consists of, but for its report."""
