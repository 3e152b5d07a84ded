"""Choose a node for every pending pod, and say why."""
