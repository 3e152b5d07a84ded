"""A Kubernetes cluster inside a namespace of another cluster."""
