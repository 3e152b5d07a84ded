"""The part of the Kubernetes API that our kinds need, in Python."""
