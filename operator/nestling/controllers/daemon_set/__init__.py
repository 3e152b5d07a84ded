"""Keep one pod on every node that should have it.

`placement` says which nodes should, `household` what there is on each, `upkeep` which pods come and go
because of the nodes, `rolling` which because of a new revision, `creation` what a pod looks like, `status`
what is reported. `reconcile` plays them in order.
Source: Kubernetes 1.37, pkg/controller/daemon.
"""
