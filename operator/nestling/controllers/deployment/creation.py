"""The ReplicaSet of a new template: its name, made from the template, and its body.

The name depends on the template and on how often such a name was taken: a repeated create meets its twin.
A name that belongs to something else is a collision: the Deployment counts it and takes the next name.
Source: Kubernetes 1.37, pkg/controller/deployment/sync.go (getNewReplicaSet, generateReplicaSetName).
"""

from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import REPLICA_SET
from nestling.controllers.deployment.revision import OWN, size_notes
from nestling.machinery.names import Key, suffix
from nestling.machinery.records.workload import REVISION, TEMPLATE_HASH, Deployment, ReplicaSet
from nestling.machinery.view import View

HASH_LENGTH: Final = 10
NAME_LENGTH: Final = 253


def template_hash(deployment: Deployment) -> str:
    """The value of the label `pod-template-hash` for the present template."""
    return suffix(deployment.template_digest, deployment.collisions, length=HASH_LENGTH)


def new_key(deployment: Deployment) -> Key:
    """The name of the ReplicaSet of the present template, cut so that its host name is not too long."""
    key = deployment.key
    tail = f"-{template_hash(deployment)}"
    around = len(key._replace(name="").host_name)
    return key._replace(name=key.name[: NAME_LENGTH - around - len(tail)] + tail)


def is_taken(view: View, deployment: Deployment, key: Key) -> bool:
    """Whether something other than this Deployment's own ReplicaSet of the present template has this name."""
    found = view.get(ReplicaSet, key)
    if found is None:
        return False
    owner = found.controller
    ours = owner is not None and owner.uid == deployment.uid
    return not ours or found.template_digest != deployment.template_digest


def body_of(
    deployment: Deployment, body: JsonObject, key: Key, *, replicas: int, revision: int
) -> JsonObject:
    """The new ReplicaSet. `body` is the Deployment as JSON; its parts are shared."""
    spec: JsonObject = body["spec"]
    template: JsonObject = spec.get("template") or {}
    hashed = {TEMPLATE_HASH: template_hash(deployment)}
    meta: JsonObject = template.get("metadata") or {}
    labels = {**(meta.get("labels") or {}), **hashed}
    selector: JsonObject = spec.get("selector") or {}
    notes: JsonObject = body["metadata"].get("annotations") or {}
    return {
        "apiVersion": REPLICA_SET.api_version,
        "kind": REPLICA_SET.name,
        "metadata": {
            "name": key.host_name,
            "namespace": key.cluster,
            "labels": labels,
            "annotations": {
                **{name: value for name, value in notes.items() if name not in OWN},
                REVISION: str(revision),
                **size_notes(deployment),
            },
            "ownerReferences": [deployment.as_owner().to_json()],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": deployment.min_ready_s,
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **hashed}},
            "template": {**template, "metadata": {**meta, "labels": labels}},
        },
    }
