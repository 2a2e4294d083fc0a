"""Placeholder."""
ROWS = {}
