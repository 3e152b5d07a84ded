"""One module per controller, each a pure reconcile."""
