"""A whole real cluster: API server, all workload controllers, kube-scheduler, and KWOK in place of kubelets.

One for all scenarios, a namespace each. What is configured here makes time short, or both sides need it in
common. KWOK holds the Lease of a node that lives; a machine dies by losing its Lease to nobody, for then KWOK
leaves it and its pods alone, and wakes up when that Lease has run out.
Source: Kubernetes 1.37, cmd/kube-controller-manager/names; KWOK 0.8, pkg/kwok/controllers.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from ours import GRACE_S

from nestling.api.json import JsonObject
from nestling.host import process
from nestling.host.component import CONTROLLERS
from nestling.host.launch import environment
from realhost import RealHost, programs, real_host

STAGES: Final = Path(__file__).parent / "stages.yaml"
WORKLOAD_CONTROLLERS: Final = (
    *CONTROLLERS,
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "horizontal-pod-autoscaler-controller",
    "job-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "replicationcontroller-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
)
# Renewed four times in its life.
LEASE_S: Final = 8
APISERVER: Final = (
    # Virtual pods have no service accounts, and so no token mounted.
    "--disable-admission-plugins=ServiceAccount",
    "--max-requests-inflight=2000",
    "--max-mutating-requests-inflight=1000",
)
CONTROLLER_MANAGER: Final = (
    f"--node-monitor-grace-period={GRACE_S}s",
    "--node-monitor-period=1s",
    "--node-startup-grace-period=60s",
    "--kube-api-qps=1000",
    "--kube-api-burst=2000",
)


@contextmanager
def control_plane() -> Generator[RealHost]:
    """The cluster, without nodes yet; gone at the end. Skips (or fails) the test when it cannot be had."""
    found = programs(("kube-scheduler", "kwok"), "no real nodes")
    with real_host(
        controllers=WORKLOAD_CONTROLLERS, apiserver_args=APISERVER, controller_manager_args=CONTROLLER_MANAGER
    ) as host:
        folder = host.local.files.root
        scheduler = [str(found["kube-scheduler"]), f"--config={_scheduler(host, folder)}", "--secure-port=0"]
        kwok = [str(found["kwok"]), f"--kubeconfig={host.kubeconfig}", f"--config={_kwok(folder)}"]
        try:
            _start(host, "kube-scheduler", scheduler)
            _start(host, "kwok", kwok)
            yield host
        finally:
            for name in ("kwok", "kube-scheduler"):
                process.stop(process.recall(host.local.files.pid(name)), grace_s=5)


def _start(host: RealHost, name: str, command: Sequence[str]) -> None:
    files = host.local.files
    process.remember(files.pid(name), process.spawn(command, log=files.log(name), env=environment()))


def last_words(host: RealHost, name: str) -> str:
    """The end of a program's log, for a test that fails."""
    return host.local.files.log(name).read_text(errors="replace")[-2000:]


def _scheduler(host: RealHost, folder: Path) -> Path:
    path = folder / "scheduler.yaml"
    config: JsonObject = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(host.kubeconfig), "qps": 1000, "burst": 2000},
    }
    path.write_text(yaml.safe_dump(config))
    return path


def _kwok(folder: Path) -> Path:
    path = folder / "kwok.yaml"
    options: JsonObject = {
        "cidr": "10.0.0.1/16",
        "nodeIP": "10.1.0.1",
        "enableProfilingHandler": False,
        "enablePodsOnNodeSyncListPager": False,
        "enablePodsOnNodeSyncStreamWatch": True,
        "nodeLeaseParallelism": 8,
        "podPlayStageParallelism": 8,
        "nodePlayStageParallelism": 4,
        "manageAllNodes": True,
        "nodeLeaseDurationSeconds": LEASE_S,
    }
    config: JsonObject = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": options,
    }
    path.write_text(yaml.safe_dump_all([config, *_stages()]))
    return path


def _stages() -> list[JsonObject]:
    """Our way to make a node ready, and the stages of pods.

    Nodes come first: who is told of Leases after pods plays pods of dead machines too.
    """
    pods = [_stage("Pod", name, stage) for name, stage in yaml.safe_load(STAGES.read_text()).items()]
    return [_stage("Node", "node-ready", _NODE_READY), *pods]


def _stage(kind: str, name: str, stage: dict[str, Any]) -> JsonObject:
    spec: JsonObject = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": {"matchExpressions": stage["when"]},
        "next": {"delete": True} if "delete" in stage else {"statusTemplate": stage["status"]},
    }
    if "delay" in stage:
        spec["delay"] = stage["delay"]
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": spec,
    }


_NODE_READY: Final[dict[str, Any]] = {
    "when": [
        {
            "key": '.status.conditions.[] | select( .type == "Ready" ) | .status',
            "operator": "NotIn",
            "values": ["True"],
        }
    ],
    "status": """
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
allocatable:
{{ YAML .status.allocatable 1 }}
capacity:
{{ YAML .status.capacity 1 }}
phase: Running
""",
}
