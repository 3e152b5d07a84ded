"""One look at a Deployment: how a decision becomes writes, at most one per object.

While ReplicaSets are being scaled the status waits: their answers wake us, and the look that finds nothing
to scale says how things stand. A ReplicaSet that is made is the exception, because the status has to tell
of it.
Source: Kubernetes 1.37, pkg/controller/deployment/sync.go.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import DEPLOYMENT, REPLICA_SET
from nestling.controllers.deployment import creation, events, progress, revision
from nestling.controllers.deployment.condition import Conditions
from nestling.controllers.deployment.family import Decision, Family, Sizes
from nestling.controllers.deployment.status import figures_of, with_availability
from nestling.controllers.status_change import status_write
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Patch, Plan
from nestling.machinery.records.workload import REVISION, Deployment
from nestling.machinery.view import View

MISFIT: Final = "`selector` does not match template `labels`"


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
        deployment = self.deployment
        key = creation.new_key(deployment)
        if not deployment.selector.matches(deployment.template_labels):
            return self._misfit(key)
        if self.view.refusal and (said := self._refused(key)):
            return Plan.of(*said, why="the new ReplicaSet was refused")
        if creation.is_taken(self.view, deployment, key):
            taken = self._status({"collisionCount": deployment.collisions + 1}, None)
            return Plan.of(*self.claims, *taken, why=f"{key.name} is something else")
        number = revision.next_revision(self.family.old)
        create = Create(
            REPLICA_SET,
            key,
            creation.body_of(deployment, self.body, key, replicas=replicas, revision=number),
            on_success=events.scaled(deployment, key, 0, replicas) if replicas else None,
            on_failure=partial(events.not_created, deployment, key),
        )
        before = progress.with_created(deployment, self._before(), key.name, self.view.now)
        figures, conditions = self._state(decision, replicas, before, name=key.name)
        # The status comes last: it says that the ReplicaSet was made, and is not written if it was not.
        return Plan.of(
            *self.claims,
            create,
            *self._scaling(decision.sizes, {}),
            *self._status(figures, conditions),
            why=decision.why,
        )

    def _misfit(self, key: Key) -> Plan:
        """Say once that pods of this template would be nobody's. The host refuses such an object."""
        deployment = self.deployment
        said = events.not_created(deployment, key, MISFIT)
        before = progress.with_create_error(deployment, self._before(), said.message, self.view.now)
        figures, conditions = self._state(Decision(estimate=False), 0, before)
        status = self._status(figures, conditions)
        new = deployment.observed_generation < deployment.generation
        return Plan.of(*self.claims, *status, *((said,) if new else ()), why=MISFIT)

    def _refused(self, key: Key) -> tuple[Patch, ...]:
        """Say that the host refused the ReplicaSet; nothing if that stands there already: then try again."""
        stored: Conditions = self.status.get("conditions") or []
        message = events.not_created(self.deployment, key, self.view.refusal).message
        conditions = progress.with_create_error(self.deployment, stored, message, self.view.now)
        return self._status({}, conditions) if conditions != stored else ()

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
            said = events.scaled(deployment, rs.key, rs.replicas, size) if size != rs.replicas else None
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
