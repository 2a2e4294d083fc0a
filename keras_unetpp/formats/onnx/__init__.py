"""ONNX files: written by tf2onnx, run by ONNX Runtime."""
