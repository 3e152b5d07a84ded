"""What people are told about a Deployment, in Kubernetes' words.

Source: Kubernetes 1.37, pkg/controller/deployment.
"""

from typing import Final, Literal

from nestling.api.kinds import DEPLOYMENT
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit
from nestling.machinery.records.workload import Deployment

COMPONENT: Final = "deployment-controller"


def event(deployment: Deployment, kind: Literal["Normal", "Warning"], reason: str, message: str) -> Emit:
    """An event about the Deployment."""
    return Emit(DEPLOYMENT, deployment.key, deployment.uid, kind, reason, message, COMPONENT)


def scaled(deployment: Deployment, key: Key, before: int, after: int) -> Emit:
    """A ReplicaSet was asked for more or fewer pods."""
    way = "up" if before < after else "down"
    message = f"Scaled {way} replica set {key.name} from {before} to {after}"
    return event(deployment, "Normal", "ScalingReplicaSet", message)


def not_created(deployment: Deployment, key: Key, trouble: str) -> Emit:
    """The ReplicaSet of the present template could not be made."""
    message = f'Failed to create new replica set "{key.name}": {trouble}'
    return event(deployment, "Warning", "ReplicaSetCreateError", message)


def selecting_all(deployment: Deployment) -> Emit:
    """The selector is empty."""
    message = "This deployment is selecting all pods. A non-empty selector is required."
    return event(deployment, "Warning", "SelectingAll", message)
