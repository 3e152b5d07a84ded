"""Scale workloads by what their pods use, as `HorizontalPodAutoscaler` says.

- `reconcile`: one look at one autoscaler, from its target to its status
- `target`: what is scaled, and which pods that are
- `metric`: how many pods the metrics ask for
- `pace`: how fast the number may change: windows, policies, bounds
- `report`: conditions, columns, and the history that windows look back upon
"""
