"""Keep as many pods of one template as a ReplicaSet asks for.

Reads the ReplicaSet, its pods and the orphans it could adopt; writes pods (create, delete, owner references)
and the ReplicaSet's status. Scheduling and running the pods is left to the scheduler and the kubelet.
ReplicationControllers are looked after in the same way: see `replication`.
Source: Kubernetes 1.37, pkg/controller/replicaset.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, Literal, cast

from nestling.api.kinds import POD, REPLICA_SET, REPLICATION_CONTROLLER, Kind
from nestling.controllers.ownership import claim
from nestling.controllers.pod_template import free_keys, pod_of
from nestling.controllers.replica_set_deletion import surplus
from nestling.controllers.replica_set_status import next_available, status_of
from nestling.controllers.status_change import status_write
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route, own_key, owner_key
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Delete, Emit, Plan, Write
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.workload import ReplicaSet
from nestling.machinery.view import View

# Creates or deletes of one look; the rest waits for the next, so that one ReplicaSet cannot hold up others.
BURST: Final = 500

COMPONENTS: Final = {REPLICA_SET: "replicaset-controller", REPLICATION_CONTROLLER: "replication-controller"}
FAILED_CREATE: Final = "FailedCreate"
FAILED_DELETE: Final = "FailedDelete"
MISFIT: Final = "`selector` does not match template `labels`"

# Followers that only add up: readiness within this time makes one status write.
GATHER_S: Final = 0.05
# The last of a terminating pod changes nothing but one figure.
GATHER_DEATHS_S: Final = 0.5


def reconcile(view: View, key: Key, *, record: type[ReplicaSet] = ReplicaSet) -> Plan:
    """Plan the creates or deletes that one ReplicaSet needs; when it needs none, its status."""
    rs = view.get(record, key)
    if rs is None:
        return Plan.done("gone")
    if rs.selector.nothing:
        return Plan.done("its selector cannot be read, or is missing")
    if rs.selector.everything:
        return Plan.done("its selector is empty: all pods of the namespace would be its own")

    # Only what could still serve is taken in or let go: finished pods stay with whom they were.
    owned = list(view.owned(Pod, rs.uid))
    orphans = (pod for pod in view.selected(Pod, key.namespace, rs.selector) if pod.active)
    claims = claim(rs, rs.selector, (pod for pod in owned if pod.active), orphans)
    active = claims.held
    terminating = sum(
        pod.deleting
        and not pod.terminal
        and pod.key.namespace == key.namespace
        and rs.selector.matches(pod.labels)
        for pod in owned
    )

    missing = 0 if rs.deleting else rs.replicas - len(active)
    misfit = missing > 0 and not rs.selector.matches(rs.template_labels)
    changes: list[Write] = []
    if misfit:
        # Its pods would not be its own: it would create them for ever. The host refuses such an object.
        if rs.failure is None:
            changes.append(_event(rs, "Warning", FAILED_CREATE, f"Error creating: {MISFIT}"))
    elif missing > 0:
        changes += _creates(view, rs, min(missing, BURST))
    elif missing < 0:
        changes += _deletes(view, rs, active, min(-missing, BURST))

    wake_at = next_available(active, rs.min_ready_s, view.now)
    failure = _failure(view.refusal, missing, misfit=misfit)
    if (claims.writes or changes) and failure is None:
        # The answers wake us: then the status says what has become of it, in one write instead of two.
        why = f"{len(active)} of {rs.replicas} pods"
        return Plan.of(*claims.writes, *changes, why=why, wake_at=wake_at)
    wanted = status_of(rs, active, terminating, failure=failure, now=view.now)
    status = status_write(rs, rs.body.get("status"), wanted)
    # What was refused may be refused again: say how things stand before trying.
    said = () if status is None else (status,)
    return Plan((*claims.writes, *said, *changes), wake_at, "status has changed" if said else "nothing new")


def _failure(refusal: str, missing: int, *, misfit: bool) -> tuple[str, str] | None:
    """Reason and message of the condition ReplicaFailure; None if no pod was refused."""
    if misfit:
        return FAILED_CREATE, MISFIT
    if not refusal or not missing:
        return None
    return (FAILED_CREATE, refusal) if missing > 0 else (FAILED_DELETE, f"unable to delete pods: {refusal}")


def _creates(view: View, rs: ReplicaSet, number: int) -> list[Create]:
    template = rs.body["spec"].get("template") or {}
    owner = rs.as_owner()
    keys = free_keys(rs.key, rs.uid, lambda key: view.get(Pod, key) is not None)
    return [
        Create(
            POD,
            key,
            pod_of(template, key=key, owner=owner),
            on_success=_event(rs, "Normal", "SuccessfulCreate", f"Created pod: {key.name}"),
            on_failure=partial(_failed, rs, FAILED_CREATE, "Error creating"),
        )
        for key in islice(keys, number)
    ]


def _deletes(view: View, rs: ReplicaSet, active: Sequence[Pod], number: int) -> list[Delete]:
    return [
        Delete(
            POD,
            pod.key,
            pod.uid,
            on_success=_event(rs, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.key.name}"),
            on_failure=partial(_failed, rs, FAILED_DELETE, "Error deleting"),
        )
        for pod in surplus(active, _related(view, rs), number, view.now)
    ]


def _related(view: View, rs: ReplicaSet) -> list[Pod]:
    """Pods of all ReplicaSets that share this one's controller; without a controller there are none."""
    owner = rs.controller
    if owner is None:
        return []
    found: dict[str, Pod] = {}
    for sibling in view.owned(type(rs), owner.uid):
        if sibling.key.namespace == rs.key.namespace:
            found.update((pod.uid, pod) for pod in view.selected(Pod, rs.key.namespace, sibling.selector))
    return list(found.values())


def _event(rs: ReplicaSet, kind: Literal["Normal", "Warning"], reason: str, message: str) -> Emit:
    return Emit(rs.KIND, rs.key, rs.uid, kind, reason, message, COMPONENTS[rs.KIND])


def _failed(rs: ReplicaSet, reason: str, step: str, message: str) -> Emit:
    return _event(rs, "Warning", reason, f"{step}: {message}")


@dataclass(frozen=True, slots=True)
class Concerns:
    """Whom of one kind (ReplicaSets or ReplicationControllers) a change of a pod concerns."""

    record: type[ReplicaSet]
    owner: Callable[[View, Change], Iterable[Key]]

    def work(self, view: View, change: Change) -> Iterable[Key]:
        """Those that may have to act: a pod came, went, or changed hands."""
        old, new = cast("Pod | None", change.old), cast("Pod | None", change.new)
        if new is None:
            return () if old is not None and old.deleting else self.owner(view, change)
        if old is not None and (old.active, old.labels, old.controller) == (
            new.active,
            new.labels,
            new.controller,
        ):
            return ()
        found = dict.fromkeys(self.owner(view, change))
        if new.controller is None and new.active:
            found.update(
                (rs.key, None)
                for rs in view.selecting(self.record, new.key.namespace, new.labels)
                if not rs.selector.everything
            )
        return found

    def figures(self, view: View, change: Change) -> Iterable[Key]:
        """Those whose figures a pod has changed, and nothing else."""
        old, new = cast("Pod | None", change.old), cast("Pod | None", change.new)
        if old is None or new is None:
            return ()
        changed = (old.ready, old.ready_at, old.terminal) != (new.ready, new.ready_at, new.terminal)
        return self.owner(view, change) if changed else ()

    def deaths(self, view: View, change: Change) -> Iterable[Key]:
        """Those that have one terminating pod less."""
        return self.owner(view, change) if change.new is None else ()


def concerns_of(record: type[ReplicaSet]) -> Mapping[Kind, tuple[Route, ...]]:
    """Whose changes concern a loop that looks after `record`: its own objects, and their pods."""
    pods = Concerns(record, owner_key(record.KIND))
    return {
        record.KIND: (Route(own_key),),
        POD: (
            Route(pods.work),
            Route(pods.figures, delay_s=GATHER_S),
            Route(pods.deaths, delay_s=GATHER_DEATHS_S),
        ),
    }


CONTROLLER: Final = Controller(name="replicaset", reconcile=reconcile, concerns=concerns_of(ReplicaSet))
