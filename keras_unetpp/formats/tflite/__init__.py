"""TFLite files for mobile apps: written by TensorFlow's converter, run by LiteRT."""
