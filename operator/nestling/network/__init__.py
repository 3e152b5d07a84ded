"""Service addresses and endpoint slices, each a pure reconcile."""
