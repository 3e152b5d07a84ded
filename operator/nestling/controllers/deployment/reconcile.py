"""Turn what a strategy decides about a Deployment into writes.

Reads the Deployment and its ReplicaSets (and, for Recreate, their pods); writes ReplicaSets (create, scale,
note, adopt, delete), the Deployment's revision and its status. Pods are the ReplicaSets' business.

Each look makes at most one write per object. While ReplicaSets are being scaled the status waits: their
answers wake us, and the look that finds nothing to scale says how things stand.
Source: Kubernetes 1.37, pkg/controller/deployment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from nestling.api.json import JsonObject
from nestling.api.kinds import DEPLOYMENT, REPLICA_SET
from nestling.controllers.deployment import (
    creation,
    progress,
    proportional,
    recreate,
    revision,
    rollback,
    rolling,
)
from nestling.controllers.deployment.condition import Conditions, find
from nestling.controllers.deployment.family import Decision, Family, Sizes, family_of
from nestling.controllers.deployment.status import figures_of, is_complete, with_availability
from nestling.controllers.ownership import claim
from nestling.controllers.status_change import status_write
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Emit, Patch, Plan
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.workload import REVISION, Deployment, ReplicaSet
from nestling.machinery.view import View

COMPONENT: Final = rollback.COMPONENT
MISFIT: Final = "`selector` does not match template `labels`"


def reconcile(view: View, key: Key) -> Plan:
    """Plan one step of a Deployment towards its template and its number of pods, or what it has to say."""
    deployment = view.get(Deployment, key)
    if deployment is None:
        return Plan.done("gone")
    if deployment.selector.nothing:
        return Plan.done("its selector cannot be read, or is missing")
    if deployment.selector.everything:
        return _selecting_all(deployment)
    claims = claim(
        deployment,
        deployment.selector,
        view.owned(ReplicaSet, deployment.uid),
        (rs for rs in view.in_namespace(ReplicaSet, key.namespace) if rs.controller is None),
    )
    look = Look(view, deployment, deployment.body, family_of(deployment, claims.held), claims.writes)
    if deployment.deleting:
        return look.plan(Decision(estimate=False, why="on its way out: only its status is kept"))
    if deployment.paused:
        decision = proportional.decide(deployment, look.family, look.status)
        return look.plan(Decision(decision.sizes, settled=True, estimate=False, why="paused"), history=True)
    back_to = rollback.asked_for(look.annotations)
    if back_to is not None:
        return Plan.of(*claims.writes, rollback.write(view, deployment, back_to), why="asked to go back")
    if proportional.is_scaled(deployment, look.family):
        return look.plan(proportional.decide(deployment, look.family, look.status))
    if deployment.recreate:
        decision = recreate.decide(deployment, look.family, _pods(view, look.family.old))
    else:
        decision = rolling.decide(deployment, look.family)
    return look.plan(decision, history=decision.settled and is_complete(deployment, look.status))


def _selecting_all(deployment: Deployment) -> Plan:
    """Refuse to work, and say so once per change of the object."""
    if deployment.observed_generation >= deployment.generation:
        return Plan.done("selects all pods")
    message = "This deployment is selecting all pods. A non-empty selector is required."
    seen = {"observedGeneration": deployment.generation}
    status = status_write(deployment, None, seen)
    said = _event(deployment, "Warning", "SelectingAll", message)
    return Plan(() if status is None else (status, said), why="selects all pods")


def _pods(view: View, sets: Iterable[ReplicaSet]) -> list[Pod]:
    return [pod for rs in sets for pod in view.owned(Pod, rs.uid) if pod.key.namespace == rs.key.namespace]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a Deployment: what was seen, and how a decision becomes a plan."""

    view: View
    deployment: Deployment
    body: JsonObject
    family: Family
    claims: tuple[Patch, ...]

    @property
    def status(self) -> JsonObject:
        """The status as it stands."""
        return self.body.get("status") or {}

    @property
    def annotations(self) -> JsonObject:
        """The Deployment's annotations."""
        return self.body["metadata"].get("annotations") or {}

    def plan(self, decision: Decision, *, history: bool = False) -> Plan:
        """The writes of a decision. With `history` old ReplicaSets beyond the limit go."""
        if decision.create is not None:
            return self._creation(decision, decision.create)
        notes = self._notes()
        scaling = self._scaling(decision.sizes, notes)
        deletes = revision.expired(self.family.old, self.deployment.history_limit) if history else []
        numbering = self._numbering(notes)
        if numbering or (scaling and not self.view.refusal):
            return Plan.of(*self.claims, *scaling, *deletes, *numbering, why=decision.why)
        figures, conditions = self._state(decision, 0)
        status = self._status(figures, conditions)
        wake_at = None
        if decision.estimate:
            wake_at = progress.due(self.deployment, conditions, figures, self.view.now)
        # Scaling that was refused may be refused again: say how things stand before trying.
        return Plan((*self.claims, *status, *scaling, *deletes), wake_at, decision.why)

    def _creation(self, decision: Decision, replicas: int) -> Plan:
        """Make the ReplicaSet of the present template, and shrink others beside it."""
        deployment, view = self.deployment, self.view
        key = creation.new_key(deployment)
        misfit = not deployment.selector.matches(deployment.template_labels)
        trouble = MISFIT if misfit else view.refusal
        if trouble:
            message = _not_created(key, trouble)
            stored: Conditions = self.status.get("conditions") or []
            conditions = progress.with_create_error(deployment, stored, message, view.now)
            news = _reason(conditions) != _reason(stored)
            if misfit:
                news = news or deployment.observed_generation < deployment.generation
                said = (_event(deployment, "Warning", progress.CREATE_ERROR, message),) if news else ()
                figures, conditions = self._state(decision, 0, conditions)
                return Plan.of(*self.claims, *self._status(figures, conditions), *said, why=message)
            if news:
                return Plan.of(*self._status({}, conditions), why=message)
        if creation.is_taken(view, deployment, key):
            taken = {"collisionCount": deployment.collisions + 1}
            return Plan.of(*self.claims, *self._status(taken, None), why=f"{key.name} is something else")
        wanted = creation.body_of(
            deployment,
            self.body,
            key,
            replicas=replicas,
            revision=revision.next_revision(self.family.old),
        )
        create = Create(
            REPLICA_SET,
            key,
            wanted,
            on_success=_scaled(deployment, key, 0, replicas) if replicas else None,
            on_failure=partial(_create_failed, deployment, key),
        )
        before = progress.with_created(deployment, self._before(), key.name, view.now)
        figures, conditions = self._state(decision, replicas, before, name=key.name)
        return Plan.of(
            *self.claims,
            create,
            *self._scaling(decision.sizes, {}),
            *self._status(figures, conditions),
            why=decision.why,
        )

    def _scaling(self, sizes: Sizes, new_notes: JsonObject) -> list[Patch]:
        """One write per ReplicaSet that changes in size or in what is noted on it."""
        deployment = self.deployment
        sized = revision.size_notes(deployment)
        found: list[Patch] = []
        for rs in self.family.everyone:
            size = sizes.get(rs.uid, rs.replicas)
            notes, spec = {}, {}
            if rs is self.family.new:
                notes = dict(new_notes)
                if rs.min_ready_s != deployment.min_ready_s:
                    spec["minReadySeconds"] = deployment.min_ready_s
            if size != rs.replicas:
                spec["replicas"] = size
            if rs.uid in sizes and (rs.desired, rs.max_replicas) != tuple(sized.values()):
                notes.update(sized)
            if not spec and not notes:
                continue
            # Only machines write here: the fields' managers are twice the bytes and nobody asks for them.
            body: JsonObject = {"metadata": {"managedFields": [{}]}}
            if notes:
                body["metadata"]["annotations"] = notes
            if spec:
                body["spec"] = spec
            said = _scaled(deployment, rs.key, rs.replicas, size) if size != rs.replicas else None
            found.append(Patch(REPLICA_SET, rs.key, rs.uid, body, version=rs.version, on_success=said))
        return found

    def _notes(self) -> JsonObject:
        """What changes in the annotations of the new ReplicaSet."""
        new = self.family.new
        if new is None:
            return {}
        number = revision.next_revision(self.family.old)
        return dict(revision.notes_for(self.annotations, new.annotations, number))

    def _numbering(self, new_notes: JsonObject) -> tuple[Patch, ...]:
        """The Deployment's revision, copied from its new ReplicaSet."""
        new = self.family.new
        if new is None:
            return ()
        wanted = new_notes.get(REVISION, new.revision)
        if self.annotations.get(REVISION, "") == wanted:
            return ()
        deployment = self.deployment
        body: JsonObject = {"metadata": {"annotations": {REVISION: wanted}}}
        return (Patch(DEPLOYMENT, deployment.key, deployment.uid, body, version=deployment.version),)

    def _before(self) -> list[JsonObject]:
        """The conditions as they stand, with a pause or its end noted."""
        stored: Conditions = self.status.get("conditions") or []
        if self.deployment.deleting:
            return list(stored)
        return progress.with_pause(self.deployment, stored, self.view.now)

    def _state(
        self, decision: Decision, created: int, before: Conditions | None = None, *, name: str | None = None
    ) -> tuple[JsonObject, list[JsonObject]]:
        """Figures and conditions as they should stand. `name` is that of a ReplicaSet about to be made."""
        deployment, family, now = self.deployment, self.family, self.view.now
        figures = figures_of(deployment, family, decision.sizes, created)
        conditions = list(self._before() if before is None else before)
        if family.new is not None:
            name = family.new.key.name
            conditions = progress.with_found(deployment, conditions, name, now)
        conditions = with_availability(deployment, figures, conditions, now)
        if decision.estimate:
            conditions = progress.estimated(
                deployment, conditions, stored=self.status, figures=figures, new=name, now=now
            )
            conditions = progress.with_failures(conditions, family)
        return figures, conditions

    def _status(self, figures: JsonObject, conditions: Conditions | None) -> tuple[Patch, ...]:
        wanted = dict(figures)
        if conditions is not None:
            wanted["conditions"] = list(conditions) or None
        found = status_write(self.deployment, self.status, wanted)
        return () if found is None else (found,)


def _reason(conditions: Conditions) -> str:
    stands = find(conditions, progress.PROGRESSING)
    return (stands.get("reason") or "") if stands else ""


def _not_created(key: Key, trouble: str) -> str:
    return f'Failed to create new replica set "{key.name}": {trouble}'


def _create_failed(deployment: Deployment, key: Key, trouble: str) -> Emit:
    return _event(deployment, "Warning", progress.CREATE_ERROR, _not_created(key, trouble))


def _scaled(deployment: Deployment, key: Key, before: int, after: int) -> Emit:
    way = "up" if before < after else "down"
    message = f"Scaled {way} replica set {key.name} from {before} to {after}"
    return _event(deployment, "Normal", "ScalingReplicaSet", message)


def _event(deployment: Deployment, kind: Literal["Normal", "Warning"], reason: str, message: str) -> Emit:
    return Emit(DEPLOYMENT, deployment.key, deployment.uid, kind, reason, message, COMPONENT)
