"""Keep as many pods of one template as a ReplicationController asks for.

A ReplicationController is a ReplicaSet under its older name, and so is looked after: the same reconcile on
its own kind, with events in its own name. Its status has no count of terminating pods.
Source: Kubernetes 1.37, pkg/controller/replication, which wraps pkg/controller/replicaset.
"""

from functools import partial
from typing import Final

from nestling.controllers import replica_set
from nestling.machinery.controller import Controller
from nestling.machinery.records.workload import ReplicationController

reconcile: Final = partial(replica_set.reconcile, record=ReplicationController)

CONTROLLER: Final = Controller(
    name="replicationcontroller",
    reconcile=reconcile,
    concerns=replica_set.concerns_of(ReplicationController),
)
