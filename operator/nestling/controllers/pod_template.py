"""Pods as a template describes them, under names that depend only on the place they fill.

Kubernetes draws names at random and needs expectations to know which of its creates have happened. Here a
repeated create, by a retry or by a leader of yesterday, meets its twin's name and is refused.
Source: Kubernetes 1.37, pkg/controller/controller_utils.go (GetPodFromTemplate),
staging/src/k8s.io/apiserver/pkg/storage/names.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import POD, Uid
from nestling.machinery.names import Key, suffix
from nestling.machinery.records.base import Owner

# Kubernetes cuts the stem of a generated name so that the whole stays a DNS label of 63.
STEM_LENGTH: Final = 58


def pod_of(template: JsonObject, *, key: Key, owner: Owner) -> JsonObject:
    """The pod that `template` describes, controlled by `owner`. It shares the template's parts."""
    source: JsonObject = template.get("metadata") or {}
    meta: JsonObject = {
        "name": key.host_name,
        "namespace": key.cluster,
        "labels": source.get("labels") or {},
        "ownerReferences": [owner.to_json()],
    }
    if source.get("annotations"):
        meta["annotations"] = source["annotations"]
    if source.get("finalizers"):
        meta["finalizers"] = source["finalizers"]
    return {
        "apiVersion": POD.api_version,
        "kind": POD.name,
        "metadata": meta,
        "spec": template.get("spec") or {},
    }


def free_keys(owner: Key, uid: Uid, taken: Callable[[Key], bool], *, first: int = 0) -> Iterator[Key]:
    """Names for new pods of `owner`, lowest slot from `first` on; endless. A name is free when no pod has it.

    Pods that are terminating keep their slot until they are gone.
    """
    stem = f"{owner.name}-"[:STEM_LENGTH]
    for slot in count(first):
        key = Key(owner.cluster, owner.namespace, stem + suffix(uid, slot))
        if not taken(key):
            yield key
