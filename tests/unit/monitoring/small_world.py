"""A world in which every `kube_*` family has a series: objects as controllers and kubelet leave them."""

from builders import (
    BIRTH,
    NOW,
    a_budget,
    a_condition,
    a_cron_job,
    a_daemon_set,
    a_deployment,
    a_job,
    a_node,
    a_pod,
    a_replica_set,
    a_replication_controller,
    a_service,
    a_stateful_set,
    an_autoscaler,
    an_object,
)
from nestling.api.json import JsonObject
from nestling.api.kinds import NAMESPACE
from nestling.machinery.clock import timestamp

START = timestamp(BIRTH + 60)
END = timestamp(BIRTH + 120)

_NODE_STATUS: JsonObject = {
    "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110", "example.com/gpu": "2", "odd": "1"},
    "allocatable": {"cpu": "3500m", "memory": "7Gi", "pods": "110"},
    "conditions": [a_condition("Ready"), a_condition("DiskPressure", "Unknown")],
    "addresses": [
        {"type": "InternalIP", "address": "172.16.0.1"},
        {"type": "Hostname", "address": "n1"},
    ],
    "nodeInfo": {
        "kernelVersion": "6.1.0",
        "osImage": "Nestling (simulated)",
        "containerRuntimeVersion": "nestling://1.0",
        "kubeletVersion": "v1.37.2",
        "kubeProxyVersion": "",
        "systemUUID": "9c1d",
    },
}
_CRASHED: JsonObject = {
    "terminated": {"reason": "Error", "exitCode": 3, "startedAt": START, "finishedAt": END}
}
_POD_SPEC: JsonObject = {
    "restartPolicy": "Always",
    "priorityClassName": "high",
    "tolerations": [
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300},
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300},
    ],
    "initContainers": [
        {"name": "side", "image": "side:1", "restartPolicy": "Always"},
        {
            "name": "setup",
            "image": "setup:1",
            "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "1Mi"}},
        },
    ],
    "containers": [
        {
            "name": "main",
            "image": "web:1",
            "resources": {
                "requests": {"cpu": "250m", "memory": "64Mi", "example.com/gpu": "1"},
                "limits": {"cpu": "1", "memory": "128Mi", "hugepages-2Mi": "4Mi"},
            },
        },
        {"name": "again", "image": "again:1"},
    ],
}
_POD_STATUS: JsonObject = {
    "phase": "Running",
    "qosClass": "Burstable",
    "hostIP": "172.16.0.1",
    "podIP": "10.0.0.5",
    "podIPs": [{"ip": "10.0.0.5"}, {"ip": "fd00::5"}],
    "startTime": START,
    "conditions": [a_condition("Ready", "False"), a_condition("PodScheduled")],
    "initContainerStatuses": [
        {
            "name": "side",
            "ready": True,
            "restartCount": 2,
            "image": "side:1",
            "imageID": "sha256:2",
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": _CRASHED,
        },
        {
            "name": "setup",
            "ready": True,
            "restartCount": 0,
            "image": "setup:1",
            "imageID": "sha256:3",
            "state": {
                "terminated": {"reason": "Completed", "exitCode": 0, "startedAt": START, "finishedAt": END}
            },
        },
    ],
    "containerStatuses": [
        {
            "name": "main",
            "ready": True,
            "restartCount": 0,
            "image": "docker.io/web:1",
            "imageID": "sha256:1",
            "containerID": "nestling://1",
            "state": {"running": {"startedAt": START}},
        },
        {
            "name": "again",
            "ready": False,
            "restartCount": 4,
            "image": "again:1",
            "imageID": "sha256:4",
            "containerID": "nestling://4",
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": _CRASHED,
        },
    ],
}


def small_world() -> list[JsonObject]:
    """All of it, in the virtual namespace `shop` of the cluster `team-a`."""
    deployment = a_deployment(
        "web",
        namespace="shop",
        replicas=3,
        generation=2,
        status={
            "observedGeneration": 2,
            "replicas": 3,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "unavailableReplicas": 1,
            "updatedReplicas": 3,
            "terminatingReplicas": 0,
            "conditions": [
                a_condition("Available", reason="MinimumReplicasAvailable"),
                a_condition("Progressing", "False", reason="SomethingOfTheirOwn"),
            ],
        },
    )
    replica_set = a_replica_set(
        "web-5d4f",
        namespace="shop",
        replicas=3,
        owner=deployment,
        status={
            "observedGeneration": 1,
            "replicas": 3,
            "fullyLabeledReplicas": 3,
            "readyReplicas": 2,
            "terminatingReplicas": 1,
        },
    )
    cron_job = a_cron_job(
        "report",
        namespace="shop",
        schedule="30 4 * * 1-5",
        spec={"timeZone": "Europe/Berlin", "concurrencyPolicy": "Forbid", "startingDeadlineSeconds": 600},
        status={
            "active": [{"name": "report-1.shop"}, {"name": "report-2.shop"}],
            "lastScheduleTime": START,
            "lastSuccessfulTime": END,
        },
    )
    return [
        an_object(NAMESPACE, "shop", status={"phase": "Active"}),
        a_node(
            labels={"kubernetes.io/hostname": "n1", "node-role.kubernetes.io/worker": ""},
            spec={
                "podCIDR": "10.0.0.0/24",
                "providerID": "nestling://n1",
                "unschedulable": True,
                "taints": [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}],
            },
            status=_NODE_STATUS,
        ),
        a_node("leaving", deleting_at=NOW + 30, labels={}),
        deployment,
        a_deployment("leaving", namespace="shop", strategy={"type": "Recreate"}, deleting_at=NOW + 30),
        replica_set,
        a_replication_controller(
            "old",
            namespace="shop",
            replicas=5,
            status={
                "observedGeneration": 1,
                "replicas": 4,
                "fullyLabeledReplicas": 3,
                "readyReplicas": 2,
                "availableReplicas": 1,
            },
        ),
        cron_job,
        a_cron_job("paused", namespace="shop", spec={"suspend": True}),
        a_job(
            "report-1",
            namespace="shop",
            owner=cron_job,
            spec={"parallelism": 2, "completions": 5, "activeDeadlineSeconds": 900},
            status={
                "active": 0,
                "succeeded": 5,
                "failed": 1,
                "startTime": START,
                "completionTime": END,
                "conditions": [a_condition("SuccessCriteriaMet"), a_condition("Complete")],
            },
        ),
        a_job(
            "report-2",
            namespace="shop",
            owner=cron_job,
            spec={"completions": None},
            status={
                "failed": 7,
                "startTime": START,
                "conditions": [a_condition("Failed", reason="BackoffLimitExceeded")],
            },
        ),
        a_job("by-hand", namespace="shop", status={"active": 1, "startTime": START}),
        a_daemon_set(
            "agent",
            namespace="shop",
            deleting_at=NOW + 30,
            status={
                "observedGeneration": 1,
                "desiredNumberScheduled": 5,
                "currentNumberScheduled": 4,
                "numberMisscheduled": 1,
                "updatedNumberScheduled": 3,
                "numberReady": 3,
                "numberAvailable": 2,
                "numberUnavailable": 3,
            },
        ),
        a_stateful_set(
            "db",
            namespace="shop",
            replicas=3,
            deleting_at=NOW + 30,
            spec={
                "ordinals": {"start": 1},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Delete"},
            },
            status={
                "observedGeneration": 1,
                "replicas": 3,
                "readyReplicas": 2,
                "availableReplicas": 1,
                "currentReplicas": 2,
                "updatedReplicas": 1,
                "currentRevision": "db-1",
                "updateRevision": "db-2",
            },
        ),
        a_pod(
            "web-5d4f-x", namespace="shop", node="n1", owner=replica_set, spec=_POD_SPEC, status=_POD_STATUS
        ),
        a_pod(
            "waits",
            namespace="shop",
            status={"conditions": [a_condition("PodScheduled", "False", reason="Unschedulable")]},
        ),
        a_pod(
            "done",
            node="n1",
            phase="Failed",
            deleting_at=NOW + 30,
            status={
                "reason": "Evicted",
                "conditions": [a_condition("Ready", "True", since=BIRTH + 90)],
                "containerStatuses": [{"name": "main", "ready": False, "restartCount": 0, "state": _CRASHED}],
            },
        ),
        a_service(
            namespace="shop",
            spec={
                "type": "LoadBalancer",
                "clusterIP": "10.96.0.9",
                "externalIPs": ["203.0.113.7"],
                "externalTrafficPolicy": "Cluster",
            },
            status={"loadBalancer": {"ingress": [{"ip": "203.0.113.8"}]}},
        ),
        an_autoscaler(
            namespace="shop",
            status={"currentReplicas": 2, "desiredReplicas": 3, "conditions": [a_condition("AbleToScale")]},
        ),
        a_budget(
            namespace="shop",
            max_unavailable="50%",
            status={
                "currentHealthy": 2,
                "desiredHealthy": 1,
                "disruptionsAllowed": 1,
                "expectedPods": 3,
                "observedGeneration": 1,
            },
        ),
    ]
