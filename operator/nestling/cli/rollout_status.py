"""How far a rollout is, in one sentence, and whether it is over.

Pure; the sentences are kubectl's, for people and scripts read them.
Source: Kubernetes 1.37, kubectl/pkg/polymorphichelpers/rollout_status.go.
"""

from dataclasses import dataclass

from nestling.api.json import JsonObject
from nestling.api.kinds import DAEMON_SET, DEPLOYMENT, Kind
from nestling.cli.problem import Problem
from nestling.controllers.deployment.revision import revision_of
from nestling.machinery.conditions import conditions_of, find_condition
from nestling.machinery.records.workload import REVISION


@dataclass(frozen=True, slots=True)
class Progress:
    """One sentence, and whether there is nothing more to wait for."""

    text: str
    done: bool = False


def progress_of(kind: Kind, obj: JsonObject, revision: int = 0) -> Progress:
    """How far a workload is. Raises Problem when it failed, or can have no such answer."""
    if kind == DEPLOYMENT:
        return _deployment(obj, revision)
    return _daemon_set(obj) if kind == DAEMON_SET else _stateful_set(obj)


def _deployment(obj: JsonObject, revision: int) -> Progress:
    name, spec, status = _parts(obj)
    if revision:
        running = revision_of((obj["metadata"].get("annotations") or {}).get(REVISION, ""))
        if running is None:
            raise Problem(f'cannot get the revision of deployment "{name}"')
        if running != revision:
            raise Problem(f"desired revision ({revision}) is different from the running revision ({running})")
    if _unseen(obj):
        return Progress("Waiting for deployment spec update to be observed...")
    state = find_condition(conditions_of(obj), "Progressing") or {}
    if state.get("reason") == "ProgressDeadlineExceeded":
        raise Problem(f'deployment "{name}" exceeded its progress deadline')
    waiting = f'Waiting for deployment "{name}" rollout to finish'
    wanted, updated = spec.get("replicas", 1), _count(status, "updatedReplicas")
    if updated < wanted:
        return Progress(f"{waiting}: {updated} out of {wanted} new replicas have been updated...")
    if (old := _count(status, "replicas") - updated) > 0:
        return Progress(f"{waiting}: {old} old replicas are pending termination...")
    if (available := _count(status, "availableReplicas")) < updated:
        return Progress(f"{waiting}: {available} of {updated} updated replicas are available...")
    return Progress(f'deployment "{name}" successfully rolled out', done=True)


def _daemon_set(obj: JsonObject) -> Progress:
    name, spec, status = _parts(obj)
    _check_strategy(spec)
    if _unseen(obj):
        return Progress("Waiting for daemon set spec update to be observed...")
    waiting = f'Waiting for daemon set "{name}" rollout to finish'
    wanted, updated = _count(status, "desiredNumberScheduled"), _count(status, "updatedNumberScheduled")
    if updated < wanted:
        return Progress(f"{waiting}: {updated} out of {wanted} new pods have been updated...")
    if (available := _count(status, "numberAvailable")) < wanted:
        return Progress(f"{waiting}: {available} of {wanted} updated pods are available...")
    return Progress(f'daemon set "{name}" successfully rolled out', done=True)


def _stateful_set(obj: JsonObject) -> Progress:
    _, spec, status = _parts(obj)
    _check_strategy(spec)
    if not _count(status, "observedGeneration") or _unseen(obj):
        return Progress("Waiting for statefulset spec update to be observed...")
    wanted = spec.get("replicas", 1)
    if (missing := wanted - _count(status, "readyReplicas")) > 0:
        return Progress(f"Waiting for {missing} pods to be ready...")
    updated = _count(status, "updatedReplicas")
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate")
    if rolling is not None:
        share = wanted - (rolling.get("partition") or 0)
        if updated < share:
            return Progress(
                f"Waiting for partitioned roll out to finish: {updated} out of {share} "
                "new pods have been updated..."
            )
        return Progress(f"partitioned roll out complete: {updated} new pods have been updated...", done=True)
    current, update = status.get("currentRevision") or "", status.get("updateRevision") or ""
    if update != current:
        return Progress(
            f"waiting for statefulset rolling update to complete {updated} pods at revision {update}..."
        )
    held = _count(status, "currentReplicas")
    return Progress(f"statefulset rolling update complete {held} pods at revision {current}...", done=True)


def _parts(obj: JsonObject) -> tuple[str, JsonObject, JsonObject]:
    return obj["metadata"]["name"], obj.get("spec") or {}, obj.get("status") or {}


def _count(status: JsonObject, field: str) -> int:
    return status.get(field) or 0


def _unseen(obj: JsonObject) -> bool:
    """Whether the controller has still to look at the present generation."""
    return obj["metadata"].get("generation", 0) > ((obj.get("status") or {}).get("observedGeneration") or 0)


def _check_strategy(spec: JsonObject) -> None:
    if (spec.get("updateStrategy") or {}).get("type", "RollingUpdate") != "RollingUpdate":
        raise Problem("rollout status is only available for RollingUpdate strategy type")
