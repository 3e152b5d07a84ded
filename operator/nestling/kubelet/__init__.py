"""The virtual kubelet: keep the pods of many nodes going, and report them."""
