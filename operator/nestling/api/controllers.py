"""The names by which `VirtualCluster.spec.controllers` switches controllers on and off.

They are kube-controller-manager's own, with its aliases, so that a list that works there works here; those
that have no counterpart here are known too, and switch nothing. Loops that do one native controller's work
together go by its name. Ours alone are the controllers of node pools and of Service addresses.
Source: Kubernetes 1.37, cmd/kube-controller-manager/names and app (aliases),
k8s.io/controller-manager/app/helper.go (IsControllerEnabled).
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

ALL: Final = "*"

# Canonical name -> alias, empty where there is none.
KNOWN: Final[Mapping[str, str]] = {
    "certificatesigningrequest-approving-controller": "csrapproving",
    "certificatesigningrequest-cleaner-controller": "csrcleaner",
    "certificatesigningrequest-signing-controller": "csrsigning",
    "clusterrole-aggregation-controller": "clusterrole-aggregation",
    "cronjob-controller": "cronjob",
    "daemonset-controller": "daemonset",
    "deployment-controller": "deployment",
    "device-taint-eviction-controller": "",
    "disruption-controller": "disruption",
    "bootstrap-signer-controller": "bootstrapsigner",
    "endpoints-controller": "endpoint",
    "endpointslice-controller": "endpointslice",
    "endpointslice-mirroring-controller": "endpointslicemirroring",
    "ephemeral-volume-controller": "ephemeral-volume",
    "garbage-collector-controller": "garbagecollector",
    "horizontal-pod-autoscaler-controller": "horizontalpodautoscaling",
    "job-controller": "job",
    "kube-apiserver-serving-clustertrustbundle-publisher-controller": "",
    "legacy-serviceaccount-token-cleaner-controller": "legacy-service-account-token-cleaner",
    "namespace-controller": "namespace",
    "node-ipam-controller": "nodeipam",
    "node-lifecycle-controller": "nodelifecycle",
    "node-pool-controller": "nodepool",
    "persistentvolume-attach-detach-controller": "attachdetach",
    "persistentvolume-binder-controller": "persistentvolume-binder",
    "persistentvolume-expander-controller": "persistentvolume-expander",
    "persistentvolume-protection-controller": "pv-protection",
    "persistentvolumeclaim-protection-controller": "pvc-protection",
    "pod-garbage-collector-controller": "podgc",
    "podcertificaterequest-cleaner-controller": "",
    "podgroup-protection-controller": "",
    "replicaset-controller": "replicaset",
    "replicationcontroller-controller": "replicationcontroller",
    "resourceclaim-controller": "resource-claim-controller",
    "resourcepoolstatusrequest-controller": "",
    "resourcequota-controller": "resourcequota",
    "root-ca-certificate-publisher-controller": "root-ca-cert-publisher",
    "selinux-warning-controller": "",
    "service-cidr-controller": "",
    "service-controller": "service",
    "serviceaccount-controller": "serviceaccount",
    "serviceaccount-token-controller": "serviceaccount-token",
    "statefulset-controller": "statefulset",
    "storage-version-migrator-controller": "svm",
    "storageversion-garbage-collector-controller": "storage-version-gc",
    "taint-eviction-controller": "",
    "token-cleaner-controller": "tokencleaner",
    "ttl-after-finished-controller": "ttl-after-finished",
    "ttl-controller": "ttl",
    "validatingadmissionpolicy-status-controller": "",
    "volumeattributesclass-protection-controller": "",
}
# A loop's own name -> the controller that it is part of, where the two do not go by the same name.
PARTS: Final[Mapping[str, str]] = {
    "garbage-collector": "garbage-collector-controller",
    "job-orphan-pod": "job-controller",
    "horizontalpodautoscaler": "horizontal-pod-autoscaler-controller",
    "node-address": "node-ipam-controller",
    "node-heartbeat": "node-lifecycle-controller",
    "node-lifecycle": "node-lifecycle-controller",
    "node-pool": "node-pool-controller",
    "node-template": "node-pool-controller",
    "pod-garbage": "pod-garbage-collector-controller",
    "stale-pod-disruption": "disruption-controller",
    "taint-eviction": "taint-eviction-controller",
    "terminated-pods": "pod-garbage-collector-controller",
    "zone-eviction": "node-lifecycle-controller",
}

_CANONICAL: Final = {alias: name for name, alias in KNOWN.items() if alias}
NAMES: Final = (*KNOWN, *_CANONICAL)


def controller_of(loop: str) -> str:
    """The controller that a loop is, or is part of. Raises LookupError for a loop that belongs to none."""
    name = PARTS.get(loop) or _CANONICAL.get(loop) or loop
    if name not in KNOWN:
        raise LookupError(f"loop {loop!r} is part of no controller that could be switched off")
    return name


def runs(controller: str, chosen: Iterable[str]) -> bool:
    """Whether a controller, by its canonical name, is switched on: the first entry that names it decides.

    Without any such entry it runs if everything does.
    """
    return _runs(controller, tuple(chosen))


@lru_cache(maxsize=4096)
def _runs(controller: str, chosen: tuple[str, ...]) -> bool:
    for entry in chosen:
        if entry == ALL:
            continue
        name = entry.removeprefix("-")
        if _CANONICAL.get(name, name) == controller:
            return not entry.startswith("-")
    return ALL in chosen
