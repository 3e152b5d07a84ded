"""What a user does first, timed: install, a node pool, a pod; then what kubectl shows, and the way out.

Every test installs into host namespaces of its own; the kinds stay, as a user's would.
"""

import math
import re
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime

import pytest
from bench import CHART, ROOT, Bench, Failed, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

POOL = """\
apiVersion: nestling.dev/v1alpha1
kind: VirtualNodePool
metadata: {name: pool}
spec: {replicas: 3}
"""
POD = """\
apiVersion: nestling.dev/v1alpha1
kind: VirtualPod
metadata: {name: hello}
spec: {containers: [{name: hello, image: hello}]}
"""
WEB = """\
apiVersion: nestling.dev/v1alpha1
kind: VirtualDeployment
metadata: {name: web}
spec:
  replicas: 20
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: web:1
          resources: {requests: {cpu: 100m}}
"""


def release_gone(bench: Bench, space: str) -> None:
    """Take the release and its namespace away, whatever state they are in."""
    if bench.get("namespace", space):
        bench.uninstall(space)
        bench.delete_namespace(space)


@contextmanager
def installed(bench: Bench, space: str, *values: str) -> Generator[str]:
    """A release in a namespace; gone again at the end, and what was wrong is printed."""
    try:
        bench.install(space, *values)
        yield space
    except BaseException:
        print(bench.state(space))
        raise
    finally:
        release_gone(bench, space)


def running(bench: Bench, space: str) -> int:
    """Virtual pods that run."""
    items = bench.items("-n", space, "virtualpods")
    return sum((one.get("status") or {}).get("phase") == "Running" for one in items)


def test_first_virtual_pod_runs_within_a_minute_and_five_commands(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    space, commands = "first", 0
    try:
        started = time.monotonic()
        bench.install(space, wait=False)
        commands += 1
        bench.kubectl("-n", space, "apply", "-f", "-", stdin=POOL)
        bench.kubectl("-n", space, "apply", "-f", "-", stdin=POD)
        commands += 2
        bench.kubectl(
            "-n",
            space,
            "wait",
            "virtualpod/hello",
            "--for=jsonpath={.status.phase}=Running",
            "--timeout=180s",
        )
        commands += 1
        took = time.monotonic() - started
        with capsys.disabled():
            print(f"\nfrom helm install to the first Running virtual pod: {took:.1f} s, {commands} commands")
        assert commands <= 5
        assert took <= 60
        said = bench.helm("test", "nestling", "-n", space, "--logs")
        assert re.search(r"a pod ran on a node of its own in host namespace first after \d", said)
    except BaseException:
        print(bench.state(space))
        raise
    finally:
        release_gone(bench, space)


def test_examples_columns_events_and_explain(bench: Bench) -> None:
    with installed(bench, "team-a") as space:
        bench.kubectl("-n", space, "apply", "-f", str(ROOT / "examples" / "cluster.yaml"))
        bench.kubectl("-n", space, "apply", "-f", "-", stdin=WEB)
        bench.kubectl(
            "-n", space, "wait", "virtualdeployment/web", "--for=condition=Available", "--timeout=120s"
        )
        bench.kubectl(
            "-n", space, "wait", "virtualpod", "-l", "app=web", "--for=condition=Ready", "--timeout=120s"
        )
        bench.kubectl("-n", space, "scale", "virtualdeployment/web", "--replicas=3")
        until("scaled", lambda: len(bench.items("-n", space, "vpo", "-l", "app=web")) == 3, within_s=60)
        head, *rows = bench.kubectl("-n", space, "get", "vpo", "-o", "wide").splitlines()
        assert head.split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
        assert len(rows) == 3
        assert all(row.split()[1:4] == ["1/1", "Running", "0"] for row in rows)
        shown = bench.kubectl("-n", space, "get", "nestling")
        for word in (
            "virtualnodepool",
            "virtualnode",
            "virtualpod",
            "virtualdeployment",
            "virtualreplicaset",
        ):
            assert word in shown
        wanted = {"Scheduled", "SuccessfulCreate", "ScalingReplicaSet", "Killing"}
        until(
            "events of all kinds",
            lambda: wanted <= {one["reason"] for one in bench.items("-n", space, "events")},
            within_s=60,
        )
        told = bench.kubectl("explain", "virtualpod.spec.containers.image")
        assert "FIELD: image <string>" in told
        assert "<no description>" not in told


def test_split_release_with_two_replicas_survives_the_loss_of_leaders(bench: Bench) -> None:
    """Kill what works in mid-rollout; upgrade without recreating a single pod."""
    values = ("topology=split", "replicas=2", "kubelet.shards=2")
    with installed(bench, "split", *values) as space:
        bench.kubectl("-n", space, "apply", "-f", str(ROOT / "examples" / "cluster.yaml"))
        bench.kubectl("-n", space, "apply", "-f", "-", stdin=WEB)
        bench.kubectl(
            "-n", space, "wait", "virtualdeployment/web", "--for=condition=Available", "--timeout=180s"
        )
        wanted = {
            "nestling-leader-scheduler",
            "nestling-leader-controllers",
            "nestling-leader-kubelet-0",
            "nestling-leader-kubelet-1",
            "nestling-kubelet-0",
            "nestling-kubelet-1",
        }
        until(
            "every role leads and both shards have nodes",
            lambda: wanted <= {one["metadata"]["name"] for one in bench.items("-n", space, "leases")},
            within_s=60,
        )

        bench.kubectl("-n", space, "patch", "virtualdeployment/web", "--type=merge", "-p", IMAGE_PATCH)
        bench.kubectl(
            "-n",
            space,
            "delete",
            "pod",
            "-l",
            "app.kubernetes.io/part-of=nestling",
            "--grace-period=0",
            "--force",
            "--wait=false",
        )
        until("rolled out", lambda: rolled_out(bench, space, "web:2", 20), within_s=240)

        before = pods(bench, space)
        done = threading.Event()
        seen: list[set[str]] = []

        def look() -> None:
            while not done.wait(1):
                seen.append(pods(bench, space))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            bench.helm(
                "upgrade",
                "nestling",
                str(CHART),
                "-n",
                space,
                "--reuse-values",
                "--set",
                "log.level=debug",
                "--wait",
                "--timeout",
                "300s",
                timeout_s=400,
            )
        finally:
            done.set()
            watcher.join()
        assert pods(bench, space) == before
        assert all(one == before for one in seen)


IMAGE_PATCH = '{"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}'


def pods(bench: Bench, space: str) -> set[str]:
    """UIDs of the virtual pods."""
    return {one["metadata"]["uid"] for one in bench.items("-n", space, "virtualpods")}


def rolled_out(bench: Bench, space: str, image: str, replicas: int) -> bool:
    """Whether exactly so many pods run, all with this image."""
    items = bench.items("-n", space, "virtualpods", "-l", "app=web")
    good = [
        one
        for one in items
        if one["spec"]["containers"][0]["image"] == image
        and (one.get("status") or {}).get("phase") == "Running"
    ]
    return len(good) == replicas == len(items)


def test_namespaced_release_serves_other_namespaces_with_roles_only(bench: Bench) -> None:
    for name in ("tenant-a", "tenant-b"):
        bench.tries("create", "namespace", name)
    values = ("namespaces={tenant-a,tenant-b}", "crds.enabled=false", "rbac.aggregate=false")
    try:
        if not bench.has_kinds():
            bench.kubectl("create", "-f", str(ROOT / "crds"))
        with installed(bench, "operators", *values):
            for name in ("tenant-a", "tenant-b"):
                bench.kubectl("-n", name, "apply", "-f", "-", stdin=POOL)
                bench.kubectl("-n", name, "apply", "-f", "-", stdin=POD)
            for name in ("tenant-a", "tenant-b"):
                bench.kubectl(
                    "-n", name, "wait", "vpo/hello", "--for=jsonpath={.status.phase}=Running", "--timeout=90s"
                )
            manifest = bench.helm("get", "manifest", "nestling", "-n", "operators")
            assert "ClusterRole" not in manifest
        assert bench.items("-n", "tenant-a", "virtualpods") == []  # uninstalling let them go
    finally:
        for name in ("tenant-a", "tenant-b"):
            bench.kubectl("delete", "namespace", name, "--timeout=60s")


def test_node_pool_of_200_nodes_and_1000_pods(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with installed(bench, "large") as space:
        bench.kubectl("-n", space, "apply", "-f", "-", stdin=POOL)
        bench.kubectl("-n", space, "scale", "virtualnodepool/pool", "--replicas=200")
        until("200 nodes Ready", lambda: ready_nodes(bench, space) == 200, within_s=180, every_s=2)
        started = time.monotonic()
        bench.kubectl("-n", space, "apply", "-f", "-", stdin=WEB.replace("replicas: 20", "replicas: 1000"))
        until("1,000 pods Running", lambda: running(bench, space) == 1000, within_s=400, every_s=3)
        with capsys.disabled():
            print(f"\n1,000 virtual pods on 200 nodes Running after {time.monotonic() - started:.0f} s")


def ready_nodes(bench: Bench, space: str) -> int:
    """Virtual nodes that are Ready."""
    return sum(
        any(
            c["type"] == "Ready" and c["status"] == "True"
            for c in (one.get("status") or {}).get("conditions", ())
        )
        for one in bench.items("-n", space, "virtualnodes")
    )


@pytest.mark.parametrize("time_through", range(10))
def test_leaving_never_hangs(bench: Bench, time_through: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Uninstall and delete the namespace with 20 live pods, every other time with a dead operator."""
    space, dead = f"leave-{time_through}", time_through % 2 == 1
    try:
        bench.install(space)
        bench.kubectl("-n", space, "apply", "-f", "-", stdin=POOL)
        bench.kubectl("-n", space, "apply", "-f", "-", stdin=WEB)
        until("pods Running", lambda: running(bench, space) == 20, within_s=120)
        if dead:
            bench.kubectl("-n", space, "scale", "deployment/nestling", "--replicas=0")
            until("operator gone", lambda: not bench.items("-n", space, "pods"), within_s=90)
        started = time.monotonic()
        bench.uninstall(space)
        bench.delete_namespace(space)
        took = time.monotonic() - started
        with capsys.disabled():
            print(f"\nleft in {took:.1f} s with {'a dead' if dead else 'a living'} operator")
        assert took <= 60
    except Failed:
        print(bench.state(space))
        raise
    finally:
        release_gone(bench, space)


def test_namespace_may_go_without_uninstalling(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Pods of a namespace go first, the operator's among them: its last act is to let the rest go."""
    space = "abrupt"
    bench.install(space)
    bench.kubectl("-n", space, "apply", "-f", "-", stdin=POOL)
    bench.kubectl("-n", space, "apply", "-f", "-", stdin=WEB)
    until("pods Running", lambda: running(bench, space) == 20, within_s=120)
    started = time.monotonic()
    bench.delete_namespace(space)
    with capsys.disabled():
        print(f"\nnamespace with a live release gone after {time.monotonic() - started:.1f} s")


def test_zz_no_request_was_refused_and_rights_are_used(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The API server's audit log over all of the above: no 403, and which rights were used.

    An operator whose release is removed loses its rights before its life: being refused then is no fault.
    """
    used: set[tuple[str, str, str]] = set()
    refused: list[str] = []
    for entry in bench.audit():
        space, _, name = entry["user"]["username"].removeprefix("system:serviceaccount:").partition(":")
        about = entry.get("objectRef") or {}
        what = f"{about.get('resource')}{'/' + about['subresource'] if 'subresource' in about else ''}"
        if not name.startswith(("nestling", "operator")):
            continue
        code = (entry.get("responseStatus") or {}).get("code")
        at = datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp()
        leaves = not name.endswith("-uninstall") and at >= bench.leaving.get(space, math.inf)
        if code == 403 and not leaves and "being terminated" not in str(entry.get("responseStatus")):
            refused.append(
                f"{name} {entry['verb']} {entry['requestURI']}: {entry['responseStatus'].get('message')}"
            )
        used.add((name, entry["verb"], what))
    with capsys.disabled():
        print(f"\n{len(used)} different rights were used, {len(refused)} requests refused")
    assert used
    assert refused == []
