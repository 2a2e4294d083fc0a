"""Trained models: one folder an entry with spec, weights and card; `manifest.json` lists them with their hashes."""
