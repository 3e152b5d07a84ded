"""The rules of placement, one module each."""
