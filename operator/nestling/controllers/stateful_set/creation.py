"""The pod of one ordinal: its names, its labels, its volumes, and which of two revisions it is made from.

A pod has the volumes of the claims that its StatefulSet would make for it, as Kubernetes gives it; the claims
themselves are not made, as there are no volumes here yet.
Source: Kubernetes 1.37, pkg/controller/statefulset/stateful_set_utils.go (newVersionedStatefulSetPod).
"""

from typing import Final

from nestling.api.json import JsonObject
from nestling.controllers.pod_template import pod_of
from nestling.controllers.stateful_set.look import Look
from nestling.controllers.stateful_set.ordinal import key_at
from nestling.machinery.names import Key
from nestling.machinery.records.revisioned import REVISION_HASH

POD_NAME: Final = "statefulset.kubernetes.io/pod-name"
POD_INDEX: Final = "apps.kubernetes.io/pod-index"


def pod_at(look: Look, ordinal: int) -> JsonObject:
    """The pod of this number as it has to be created."""
    sts, spec = look.sts, look.body["spec"]
    key = key_at(sts, ordinal)
    old = _stays_behind(look, ordinal)
    template: JsonObject = look.old_template if old else spec.get("template") or {}
    pod = pod_of(template, key=key, owner=sts.as_owner())
    pod["metadata"]["labels"] = {
        **pod["metadata"]["labels"],
        **identity(key, ordinal),
        REVISION_HASH: look.current if old else look.update,
    }
    pod["spec"] = {**pod["spec"], "hostname": key.name}
    if spec.get("serviceName"):
        pod["spec"]["subdomain"] = spec["serviceName"]
    else:
        pod["spec"].pop("subdomain", None)
    volumes = _claimed(spec, key)
    if volumes:
        names = {volume["name"] for volume in volumes}
        own: list[JsonObject] = (template.get("spec") or {}).get("volumes") or []
        pod["spec"]["volumes"] = [*volumes, *(volume for volume in own if volume["name"] not in names)]
    return pod


def identity(key: Key, ordinal: int) -> dict[str, str]:
    """The labels by which a pod is known by name and number."""
    return {POD_NAME: key.name, POD_INDEX: str(ordinal)}


def _stays_behind(look: Look, ordinal: int) -> bool:
    """Whether the pod of this number is one that the rollout has not come to."""
    sts = look.sts
    if sts.partition is not None:
        return ordinal < sts.start + sts.partition
    return not sts.on_delete and ordinal < sts.start + sts.current_replicas


def _claimed(spec: JsonObject, key: Key) -> list[JsonObject]:
    """Volumes for the claims of a pod: `data` of `web-0` is called `data-web-0`."""
    names: list[str] = [
        (claim.get("metadata") or {}).get("name") or "" for claim in spec.get("volumeClaimTemplates") or ()
    ]
    return [
        {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{key.name}"}} for name in names if name
    ]
