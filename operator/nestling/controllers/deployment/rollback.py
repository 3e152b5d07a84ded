"""Going back: the template of an earlier revision, and the change of a Deployment that brings it back.

Used by `nestling rollout undo`, and by the controller for the annotation that old clients leave. The
annotations of the earlier ReplicaSet come back too, or its change cause would be lost under the present
one.
Source: Kubernetes 1.37, pkg/controller/deployment/rollback.go, kubectl/pkg/polymorphichelpers/rollback.go.
"""

from collections.abc import Iterable, Mapping
from typing import cast

from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import DEPLOYMENT
from nestling.controllers.deployment.events import event
from nestling.controllers.deployment.revision import OWN, ROLLBACK_TO, revision_of
from nestling.machinery.plan import Patch
from nestling.machinery.records.workload import TEMPLATE_HASH, Deployment, ReplicaSet
from nestling.machinery.view import View


def revisions(view: View, deployment: Deployment) -> dict[int, ReplicaSet]:
    """The ReplicaSets of a Deployment by revision, lowest first; unreadable revisions are left out."""
    found: dict[int, ReplicaSet] = {}
    for rs in view.owned(ReplicaSet, deployment.uid):
        number = revision_of(rs.revision)
        if number is not None and deployment.selector.matches(rs.labels):
            found[number] = rs
    return dict(sorted(found.items()))


def replica_set_of(view: View, deployment: Deployment, revision: int) -> ReplicaSet | None:
    """The ReplicaSet of this revision (0: of the one before the present); None if there is none."""
    found = revisions(view, deployment)
    if revision:
        return found.get(revision)
    return found[list(found)[-2]] if len(found) > 1 else None


def template_of_revision(view: View, deployment: Deployment, revision: int) -> JsonObject | None:
    """The pod template of a revision (0: the one before), as the Deployment had it; None if it is gone."""
    rs = replica_set_of(view, deployment, revision)
    return None if rs is None else plain_template(rs)


def plain_template(rs: ReplicaSet) -> JsonObject:
    """The template of a ReplicaSet without the label that tells ReplicaSets apart."""
    template: JsonObject = rs.body["spec"].get("template") or {}
    labels: JsonObject = (template.get("metadata") or {}).get("labels") or {}
    labels.pop(TEMPLATE_HASH, None)
    return template


def undo(deployment: Deployment, rs: ReplicaSet) -> JsonObject | None:
    """The merge patch that gives a Deployment what `rs` has; None if that is its template already."""
    if deployment.template_digest == rs.template_digest:
        return None
    body = deployment.body
    present: JsonObject = body["metadata"].get("annotations") or {}
    wanted = {
        **{name: value for name, value in present.items() if name in OWN},
        **{name: value for name, value in rs.annotations.items() if name not in OWN},
    }
    patch: JsonObject = {
        "spec": {"template": difference(body["spec"].get("template") or {}, plain_template(rs))}
    }
    notes = difference(present, wanted)
    if notes:
        patch["metadata"] = {"annotations": notes}
    return patch


def asked_for(annotations: Mapping[str, str]) -> int | None:
    """The revision that an old client asks to go back to, by annotation; 0 is the one before."""
    text = annotations.get(ROLLBACK_TO)
    return revision_of(text) if text else None


def write(view: View, deployment: Deployment, revision: int) -> Patch:
    """Do what the annotation asks for, if it can be done, and take it off in any case."""
    rs = replica_set_of(view, deployment, revision)
    patch = None if rs is None else undo(deployment, rs)
    name = deployment.key.name
    if rs is None:
        message = (
            "Unable to find the revision to rollback to." if revision else "Unable to find last revision."
        )
        said = event(deployment, "Warning", "DeploymentRollbackRevisionNotFound", message)
    elif patch is None:
        message = f'The rollback revision contains the same template as current deployment "{name}"'
        said = event(deployment, "Warning", "DeploymentRollbackTemplateUnchanged", message)
    else:
        message = f'Rolled back deployment "{name}" to revision {revision_of(rs.revision)}'
        said = event(deployment, "Normal", "DeploymentRollback", message)
    body = patch or {}
    notes = {**(body.get("metadata") or {}).get("annotations", {}), ROLLBACK_TO: None}
    body = {**body, "metadata": {"annotations": notes}}
    return Patch(
        DEPLOYMENT, deployment.key, deployment.uid, body, version=deployment.version, on_success=said
    )


def difference(before: JsonValue, after: JsonValue) -> JsonValue:
    """The merge patch that turns `before` into `after`; lists are replaced whole."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    old, new = cast("JsonObject", before), cast("JsonObject", after)
    patch: JsonObject = dict.fromkeys(_missing(old, new))
    for name, value in new.items():
        if name not in old:
            patch[name] = value
        elif old[name] != value:
            patch[name] = difference(old[name], value)
    return patch


def _missing(old: JsonObject, new: JsonObject) -> Iterable[str]:
    return (name for name in old if name not in new)
