"""One look at a StatefulSet: make it right, or say how it stands.

Reads the StatefulSet, its pods, its revisions and the orphans it could take in; writes pods, revisions and
the StatefulSet's status. The revision of a template is there, and the status names it, before the first pod
of it is: whatever dies in between, nobody forgets which pods are to stay as they are.
Source: Kubernetes 1.37, pkg/controller/statefulset.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from nestling.controllers.history import Present, forget, present, revisions_of
from nestling.controllers.ownership import claim, unchanged
from nestling.controllers.replica_set_status import next_available
from nestling.controllers.stateful_set.look import Look, revision_of, sorted_out
from nestling.controllers.stateful_set.ordinal import is_member
from nestling.controllers.stateful_set.rolling import outgoing
from nestling.controllers.stateful_set.scaling import Step, deletion, in_order, in_parallel
from nestling.controllers.stateful_set.status import status_of
from nestling.controllers.status_change import status_write
from nestling.machinery.names import Key
from nestling.machinery.plan import Delete, Patch, Plan, Write
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import ControllerRevision, StatefulSet
from nestling.machinery.view import View

# On revisions: the hash in their name.
HASH_LABEL: Final = "controller.kubernetes.io/hash"


def reconcile(view: View, key: Key) -> Plan:
    """Plan the next step of one StatefulSet; when there is none, its status."""
    sts = view.get(StatefulSet, key)
    if sts is None:
        return Plan.done("gone")
    if sts.selector.nothing or sts.selector.everything:
        return Plan.done("its selector cannot be read, or selects all pods of the namespace")
    if not sts.selector.matches(sts.template_labels):
        # Its pods would not be its own. The host refuses such an object.
        return Plan.done("its selector does not match its template")
    history = revisions_of(view, sts)
    claims = claim(
        sts,
        sts.selector,
        view.owned(Pod, sts.uid),
        view.selected(Pod, key.namespace, sts.selector),
        fits=lambda pod: is_member(sts, pod),
    )
    revisions = history.held
    update = _standing(sts, revisions) if sts.deleting else present(view, sts, revisions, label=HASH_LABEL)
    current = next((one for one in revisions if one.key.name == sts.current_revision), None)
    pods, condemned = sorted_out(sts, claims.held)
    body = sts.body
    look = Look(
        sts=sts,
        body=body,
        pods=pods,
        condemned=condemned,
        current=update.name if current is None else current.key.name,
        update=update.name,
        collisions=update.collisions,
        old_template=(body["spec"].get("template") or {}) if current is None else current.template,
        now=view.now,
    )
    wake_at = next_available(look.everyone, sts.min_ready_s, view.now)
    step = Step(why="it is on its way out")
    leaving: Sequence[Pod] = ()
    if not sts.deleting:
        step = in_parallel(look) if sts.parallel else in_order(look)
        leaving = () if step.last or sts.on_delete else outgoing(look)
    changes = (*step.writes, *_further(look, step, leaving))
    said = status_write(sts, body.get("status"), status_of(look, outgoing=_of_current(look, leaving)))
    renamed = (look.current, look.update) != (sts.current_revision, sts.update_revision)
    if said is not None and changes and not (renamed or leaving or view.refusal):
        said = None  # the answers wake us: then one status says what has become of it
    writes: list[Write] = [*history.writes, *claims.writes]
    if isinstance(update.write, Patch):
        writes.append(unchanged(sts))  # an old view must not renumber
    if update.write is not None:
        writes.append(update.write)
    if said is not None:
        writes.append(said)
    writes += changes
    writes += _expired(sts, revisions, look)
    return Plan(tuple(writes), wake_at, step.why or "nothing new")


def _standing(sts: StatefulSet, revisions: Sequence[ControllerRevision]) -> Present:
    """The revision of the present template as far as there is one: what is on its way out makes none."""
    equal = [one for one in revisions if one.digest == sts.digest]
    name = equal[-1].key.name if equal else sts.update_revision
    return Present(name, "", 0, sts.collisions)


def _further(look: Look, step: Step, leaving: Iterable[Pod]) -> list[Delete]:
    """Deletions for the rollout, of pods that are not deleted already because they have ended."""
    gone = {write.key for write in step.writes if isinstance(write, Delete)}
    return [deletion(look, pod) for pod in leaving if pod.key not in gone]


def _of_current(look: Look, leaving: Iterable[Pod]) -> int:
    return sum(revision_of(pod) == look.current for pod in leaving)


def _expired(sts: StatefulSet, revisions: Sequence[ControllerRevision], look: Look) -> list[Delete]:
    """Deletion of the revisions beyond the history limit, lowest first; what a pod is made of is spared."""
    if sts.history_limit is None or sts.deleting:
        return []
    live = {look.current, look.update, *map(revision_of, look.everyone)}
    past = [one for one in revisions if one.key.name not in live]
    return forget(past[: max(len(past) - sts.history_limit, 0)])
