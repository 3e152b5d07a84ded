"""What makes pods kin to one another: the namespaces, services and workloads that their table is told of.

Reads VirtualNamespaces (labels, for terms that select namespaces), VirtualServices, VirtualReplicaSets,
VirtualReplicationControllers and VirtualStatefulSets (selectors, for spreading pods that ask for none).
Source: Kubernetes 1.37, plugins/helper/spread.go, plugins/interpodaffinity/plugin.go.
"""

from typing import Final

from nestling.api.kinds import NAMESPACE, REPLICA_SET, REPLICATION_CONTROLLER, SERVICE, STATEFUL_SET
from nestling.api.selector import NOTHING, Selector
from nestling.machinery.cache import Change
from nestling.machinery.records.base import Record
from nestling.machinery.records.service import Service
from nestling.machinery.records.workload import ReplicaSet
from nestling.scheduler.peers import Peers

KINDS: Final = (NAMESPACE, SERVICE, REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET)
PLURALS: Final = frozenset(kind.plural for kind in KINDS)


def learn(peers: Peers, change: Change) -> None:
    """Tell a table's peers of one change of one of `KINDS`."""
    key, new = change.key, change.new
    if change.kind is NAMESPACE:
        peers.put_namespace(key.name, new.labels if new is not None else None)
    elif change.kind is SERVICE:
        peers.put_service(key.namespace, key.name, new.selector if isinstance(new, Service) else None)
    else:
        selector = _selector(new) if new is not None else None
        peers.put_workload(change.kind.native, key.namespace, key.name, selector)


def _selector(record: Record) -> Selector:
    if isinstance(record, ReplicaSet):
        return record.selector
    try:
        return Selector.from_json((record.body.get("spec") or {}).get("selector"))
    except (ValueError, TypeError, AttributeError, KeyError):  # the schema refuses all of these
        return NOTHING
