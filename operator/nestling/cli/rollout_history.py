"""The revisions of a workload: which there are, what made them, and the way back to one.

A Deployment keeps its revisions as ReplicaSets, StatefulSets and DaemonSets keep theirs as
ControllerRevisions whose data is the template to put in place.
Source: Kubernetes 1.37, kubectl/pkg/polymorphichelpers (history.go, rollback.go).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from nestling.api.json import JsonObject
from nestling.api.kinds import CONTROLLER_REVISION, DEPLOYMENT, REPLICA_SET, Kind
from nestling.api.selector import Selector
from nestling.cli.problem import Problem
from nestling.controllers.deployment.revision import OWN, revision_of
from nestling.controllers.deployment.rollback import difference
from nestling.machinery.records.workload import REVISION, TEMPLATE_HASH, template_digest

CHANGE_CAUSE: Final = "kubernetes.io/change-cause"
_NONE: Final = "<none>"
SKIPPED: Final = "skipped rollback (current template already matches revision {})"
DONE: Final = "rolled back"


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: its number, what made it, the template it stands for, and the object that keeps it."""

    number: int
    cause: str
    template: JsonObject
    kept: JsonObject

    @property
    def annotations(self) -> Mapping[str, str]:
        """Annotations of the object that keeps it."""
        return self.kept["metadata"].get("annotations") or {}


def keeper_of(kind: Kind) -> Kind:
    """The kind of the objects that keep the revisions of workloads of `kind`."""
    return REPLICA_SET if kind == DEPLOYMENT else CONTROLLER_REVISION


def revisions(kind: Kind, workload: JsonObject, kept: Iterable[JsonObject]) -> list[Revision]:
    """The revisions of a workload, lowest first. `kept` are all objects of `keeper_of(kind)`."""
    uid = workload["metadata"]["uid"]
    selector = Selector.from_json(workload["spec"].get("selector"))
    found: dict[int, Revision] = {}
    for one in kept:
        meta: JsonObject = one["metadata"]
        owned = any(o.get("controller") and o.get("uid") == uid for o in meta.get("ownerReferences") or ())
        if not owned or not selector.matches(meta.get("labels") or {}):
            continue
        revision = _of_replica_set(one) if kind == DEPLOYMENT else _of_controller_revision(one)
        if revision is not None:
            found[revision.number] = revision
    return [found[number] for number in sorted(found)]


def _of_replica_set(rs: JsonObject) -> Revision | None:
    notes: JsonObject = rs["metadata"].get("annotations") or {}
    number = revision_of(notes.get(REVISION, ""))
    if number is None:
        return None
    template: JsonObject = rs["spec"].get("template") or {}
    meta: JsonObject = template.get("metadata") or {}
    labels = {name: value for name, value in (meta.get("labels") or {}).items() if name != TEMPLATE_HASH}
    plain = {**template, "metadata": {**meta, "labels": labels}}
    return Revision(number, notes.get(CHANGE_CAUSE) or _NONE, plain, rs)


def _of_controller_revision(one: JsonObject) -> Revision | None:
    data: Any = one.get("data") or {}
    template = (data.get("spec") or {}).get("template") if isinstance(data, dict) else None
    if not isinstance(template, dict):
        raise Problem(f"unable to parse history {one['metadata']['name']}")
    plain = {name: value for name, value in cast("JsonObject", template).items() if name != "$patch"}
    cause = (one["metadata"].get("annotations") or {}).get(CHANGE_CAUSE) or _NONE
    return Revision(one.get("revision") or 0, cause, plain, one)


def find(found: Sequence[Revision], number: int) -> Revision:
    """The revision of this number. Raises Problem if there is none."""
    for revision in found:
        if revision.number == number:
            return revision
    raise Problem("unable to find the specified revision", next_step="leave out --revision to see all")


def target(kind: Kind, workload: JsonObject, found: Sequence[Revision], number: int) -> Revision:
    """The revision to go back to: the one of this number, or for 0 the last but one. Raises Problem."""
    if number:
        for revision in found:
            if revision.number == number:
                return revision
        raise Problem(f"unable to find specified revision {number} in history")
    if len(found) < 2:
        name = workload["metadata"]["name"]
        raise Problem(
            f'no rollout history found for deployment "{name}"'
            if kind == DEPLOYMENT
            else "no last revision to roll back to"
        )
    return found[-2]


def undo(kind: Kind, workload: JsonObject, to: Revision) -> JsonObject | None:
    """The merge patch that takes a workload back; None if its template is that one already.

    Raises Problem for a Deployment that is paused.
    """
    spec: JsonObject = workload["spec"]
    if kind == DEPLOYMENT and spec.get("paused"):
        raise Problem(
            "you cannot rollback a paused deployment",
            next_step="resume it first with 'nestling rollout resume' and try again",
        )
    present: JsonObject = spec.get("template") or {}
    if template_digest(present) == template_digest(to.template):
        return None
    patch: JsonObject = {"spec": {"template": difference(present, to.template)}}
    if kind == DEPLOYMENT:
        notes: JsonObject = workload["metadata"].get("annotations") or {}
        wanted = {
            **{name: value for name, value in notes.items() if name in OWN},
            **{name: value for name, value in to.annotations.items() if name not in OWN},
        }
        patch["metadata"] = {"annotations": difference(notes, wanted)}
    return patch


def listing(found: Sequence[Revision]) -> list[str]:
    """The table of all revisions, as kubectl prints it."""
    if not found:
        return ["No rollout history found."]
    rows = [("REVISION", "CHANGE-CAUSE"), *((str(one.number), one.cause) for one in found)]
    width = max(len(number) for number, _ in rows)
    return [f"{number.ljust(width)}  {cause}" for number, cause in rows]


def described(template: JsonObject) -> list[str]:
    """A pod template as kubectl describes it, as far as a rollout is concerned."""
    meta: JsonObject = template.get("metadata") or {}
    spec: JsonObject = template.get("spec") or {}
    lines = ["Pod Template:", *_pairs("  Labels:\t", meta.get("labels"))]
    if meta.get("annotations"):
        lines += _pairs("  Annotations:\t", meta["annotations"], ": ")
    if spec.get("serviceAccountName"):
        lines.append(f"  Service Account:\t{spec['serviceAccountName']}")
    if spec.get("initContainers"):
        lines.append("  Init Containers:")
        lines += (line for one in spec["initContainers"] for line in _container(one))
    lines.append("  Containers:")
    lines += (line for one in spec.get("containers") or () for line in _container(one))
    selector = ",".join(f"{name}={value}" for name, value in sorted((spec.get("nodeSelector") or {}).items()))
    lines.append(f"  Node-Selectors:\t{selector or _NONE}")
    return lines


def _pairs(title: str, pairs: Mapping[str, str] | None, sign: str = "=") -> list[str]:
    texts = [f"{name}{sign}{value}" for name, value in sorted((pairs or {}).items())] or [_NONE]
    return [title + texts[0], *(f"\t{text}" for text in texts[1:])]


def _container(one: JsonObject) -> list[str]:
    ports = [f"{port['containerPort']}/{port.get('protocol', 'TCP')}" for port in one.get("ports") or ()]
    hosts = [f"{port.get('hostPort', 0)}/{port.get('protocol', 'TCP')}" for port in one.get("ports") or ()]
    lines = [
        f"   {one['name']}:",
        f"    Image:\t{one.get('image', '')}",
        f"    Port:\t{', '.join(ports) or _NONE}",
        f"    Host Port:\t{', '.join(hosts) or _NONE}",
    ]
    for word in ("command", "args"):
        if one.get(word):
            lines += [f"    {word.title()}:", *(f"      {text}" for text in one[word])]
    for word in ("limits", "requests"):
        amounts = (one.get("resources") or {}).get(word) or {}
        if amounts:
            lines.append(f"    {word.title()}:")
            lines += (f"      {name}:\t{amount}" for name, amount in sorted(amounts.items()))
    lines.append("    Environment:" + ("" if one.get("env") else f"\t{_NONE}"))
    lines += (f"      {env['name']}:\t{env.get('value', '')}" for env in one.get("env") or ())
    lines.append("    Mounts:" + ("" if one.get("volumeMounts") else f"\t{_NONE}"))
    lines += (
        f"      {mount['mountPath']} from {mount['name']} (rw)" for mount in one.get("volumeMounts") or ()
    )
    return lines
