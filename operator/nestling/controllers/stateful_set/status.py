"""What a StatefulSet says about itself: how many pods it has, and of which revision.

Zeros are written out: every column has a figure.
Source: Kubernetes 1.37, pkg/controller/statefulset/stateful_set_control.go (computeReplicaStatus),
stateful_set_utils.go (completeUpdate).
"""

from nestling.api.json import JsonObject
from nestling.controllers.stateful_set.look import Look, revision_of
from nestling.controllers.status_change import selector_text


def status_of(look: Look, *, outgoing: int = 0) -> JsonObject:
    """The whole status. `outgoing` pods of the current revision are about to be deleted.

    When all pods are of the update revision and ready, it becomes the current one.
    """
    sts = look.sts
    everyone = tuple(look.everyone)
    ready = [pod for pod in everyone if look.ready(pod)]
    staying = [revision_of(pod) for pod in everyone if not pod.deleting]
    updated = staying.count(look.update)
    current, of_current = look.current, staying.count(look.current) - outgoing
    if updated == len(ready) == len(everyone) == sts.replicas:
        current, of_current = look.update, updated
    return {
        "replicas": len(everyone),
        "readyReplicas": len(ready),
        "availableReplicas": sum(map(look.available, ready)),
        "currentReplicas": of_current,
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": look.update,
        "collisionCount": look.collisions,
        "observedGeneration": sts.generation,
        "selector": selector_text(sts.selector),
        "display": {"ready": f"{len(ready)}/{sts.replicas}"},
    }
