"""Why `nestling convert` leaves a native object out, kind by kind, in one sentence.

A kind with a virtual counterpart is never here; old versions of such kinds are, with the version to write
instead. Source of the removals: Kubernetes' deprecation guide, releases 1.16 to 1.32.
"""

from collections.abc import Mapping
from typing import Final

from nestling.api import kinds

NOT_YET: Final = "Nestling has no virtual kind for it yet"
_HOST_RBAC: Final = "who may do what in a virtual cluster is ruled by the host's own RBAC"
_WEBHOOK: Final = "admission in a virtual cluster is the host's; register it there"
_MADE_BY_SYSTEM: Final = "the virtual cluster makes its own"

BY_KIND: Final[Mapping[str, str]] = {
    "Ingress": f"{NOT_YET}; reach its Services by address or port",
    "IngressClass": NOT_YET,
    "NetworkPolicy": f"{NOT_YET}; nothing is blocked",
    "PersistentVolumeClaim": NOT_YET,
    "PersistentVolume": NOT_YET,
    "StorageClass": NOT_YET,
    "VolumeAttachment": NOT_YET,
    "VolumeAttributesClass": NOT_YET,
    "CSIDriver": NOT_YET,
    "CSINode": NOT_YET,
    "CSIStorageCapacity": NOT_YET,
    "Role": _HOST_RBAC,
    "RoleBinding": _HOST_RBAC,
    "ClusterRole": _HOST_RBAC,
    "ClusterRoleBinding": _HOST_RBAC,
    "ServiceAccount": "pods may name any service account; none has to exist",
    "LimitRange": NOT_YET,
    "ResourceQuota": NOT_YET,
    "PodTemplate": "nothing reads it; put the template into a workload",
    "PodSecurityPolicy": "Kubernetes removed it in 1.25; use Pod Security labels on the host namespace",
    "CustomResourceDefinition": "it extends the host's API; apply it to the host itself",
    "APIService": "it extends the host's API; apply it to the host itself",
    "MutatingWebhookConfiguration": _WEBHOOK,
    "ValidatingWebhookConfiguration": _WEBHOOK,
    "MutatingAdmissionPolicy": _WEBHOOK,
    "MutatingAdmissionPolicyBinding": _WEBHOOK,
    "ValidatingAdmissionPolicy": _WEBHOOK,
    "ValidatingAdmissionPolicyBinding": _WEBHOOK,
    "FlowSchema": "fairness between requests is the host's; apply it to the host itself",
    "PriorityLevelConfiguration": "fairness between requests is the host's; apply it to the host itself",
    "Endpoints": "the virtual cluster makes EndpointSlices of its own",
    "Event": "it tells of another cluster",
    "Lease": _MADE_BY_SYSTEM,
    "Binding": "it is a request, not an object; set spec.nodeName of the pod",
    "ComponentStatus": "it tells of another cluster",
    "RuntimeClass": NOT_YET,
    "ResourceClaim": NOT_YET,
    "ResourceClaimTemplate": NOT_YET,
    "DeviceClass": NOT_YET,
    "ResourceSlice": NOT_YET,
}

# (apiVersion, kind) that Kubernetes once served: the release that stopped, by version.
_REMOVED: Final[Mapping[tuple[str, str], str]] = {
    ("extensions/v1beta1", "Deployment"): "1.16",
    ("extensions/v1beta1", "DaemonSet"): "1.16",
    ("extensions/v1beta1", "ReplicaSet"): "1.16",
    ("apps/v1beta1", "Deployment"): "1.16",
    ("apps/v1beta1", "StatefulSet"): "1.16",
    ("apps/v1beta1", "ControllerRevision"): "1.16",
    ("apps/v1beta2", "Deployment"): "1.16",
    ("apps/v1beta2", "DaemonSet"): "1.16",
    ("apps/v1beta2", "ReplicaSet"): "1.16",
    ("apps/v1beta2", "StatefulSet"): "1.16",
    ("apps/v1beta2", "ControllerRevision"): "1.16",
    ("scheduling.k8s.io/v1beta1", "PriorityClass"): "1.22",
    ("batch/v1beta1", "CronJob"): "1.25",
    ("discovery.k8s.io/v1beta1", "EndpointSlice"): "1.25",
    ("policy/v1beta1", "PodDisruptionBudget"): "1.25",
}
_BUILT_IN_SUFFIX: Final = ".k8s.io"
_BUILT_IN: Final = frozenset({"apps", "autoscaling", "batch", "extensions", "policy"})


def why_not(api_version: str, kind: str) -> str:
    """Why an object of this kind and version cannot become a virtual one."""
    current = _CURRENT_VERSION.get(kind)
    if current is not None and _is_built_in(api_version):
        removed = _REMOVED.get((api_version, kind))
        past = (
            f"Kubernetes stopped serving {api_version} in {removed}"
            if removed
            else f"{kind} is not in {api_version}"
        )
        return f"{past}; write apiVersion: {current}"
    if kind in BY_KIND and _is_built_in(api_version):
        return BY_KIND[kind]
    if _is_built_in(api_version):
        return "Nestling knows no such Kubernetes kind; check the spelling of kind and apiVersion"
    return "it is a custom resource, which virtual clusters do not take; apply it to the host itself"


def _is_built_in(api_version: str) -> bool:
    group, slash, _ = api_version.rpartition("/")
    return not slash or group in _BUILT_IN or group.endswith(_BUILT_IN_SUFFIX)


_CURRENT_VERSION: Final[Mapping[str, str]] = {
    **{kind.native: kind.native_api_version for kind in kinds.VIRTUAL_KINDS if kind.native},
    "ConfigMap": "v1",
    "Secret": "v1",
}
