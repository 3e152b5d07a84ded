"""What a running pod of the kubelet uses, as series of cAdvisor: from the pod's body to the page."""

from collections.abc import Iterator

import pytest

from builders import a_pod
from nestling.kubelet import usage
from nestling.kubelet.runtimes.simulated import Simulated
from nestling.machinery.records.pod import Pod
from nestling.machinery.usage import ContainerUsage
from nestling.monitoring.cadvisor import Cadvisor
from unit.monitoring.scraping import Scrape

STARTED = "2027-01-15T08:00:00Z"
STARTED_AT = 1_800_000_000.0
RUNNING = {"state": {"running": {"startedAt": STARTED}}, "restartCount": 0, "containerID": "simulated://abc"}


def pods() -> list[Pod]:
    """One pod with a container that runs, one that waits and a sidecar; and one pod without a node."""
    asks = {"resources": {"requests": {"cpu": "1", "memory": "100Mi"}}}
    body = a_pod(
        "web",
        node="n1",
        annotations={"sim.nestling.dev/cpu.side": "0s=0,10s=200m"},
        spec={
            "containers": [{"name": "main", "image": "web:1", **asks}, {"name": "late", "image": "late:1"}],
            "initContainers": [{"name": "side", "image": "side:1", "restartPolicy": "Always"}],
        },
        status={
            "phase": "Running",
            "containerStatuses": [
                {"name": "main", **RUNNING},
                {"name": "late", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3},
            ],
            "initContainerStatuses": [{"name": "side", **RUNNING}],
        },
    )
    return [Pod.read(body), Pod.read(a_pod("pending"))]


def usages(now: float) -> Iterator[ContainerUsage]:
    for pod in pods():
        yield from usage.of_pod(pod, Simulated(), now)


async def scrape(now: float) -> Scrape:
    page = Cadvisor(usages, now=lambda: now, monotonic=lambda: 0.0)
    return Scrape(b"".join(piece for part in await page.scrape() for piece in part.text()).decode())


async def test_running_containers_have_series_and_no_others() -> None:
    page = await scrape(STARTED_AT + 20)
    assert page.values("container_memory_working_set_bytes", "container", "image", "node") == {
        ("main", "web:1", "n1"): 10 * 2**20,
        ("side", "side:1", "n1"): 0,
    }


@pytest.mark.parametrize(
    ("ran_for", "main", "side"),
    [
        pytest.param(0, 0, 0, id="just started"),
        pytest.param(10, 1, 1, id="a tenth of the request; the area of a ramp"),
        pytest.param(20, 2, 3, id="level after the last point"),
    ],
)
async def test_cpu_time_only_grows(ran_for: float, main: float, side: float) -> None:
    page = await scrape(STARTED_AT + ran_for)
    found = page.values("container_cpu_usage_seconds_total", "container", cpu="total")
    assert found == {("main",): pytest.approx(main), ("side",): pytest.approx(side)}


async def test_network_belongs_to_the_pod() -> None:
    page = await scrape(STARTED_AT)
    assert page.values("container_network_receive_bytes_total", "pod", "interface") == {("web", "eth0"): 0}


async def test_a_clock_behind_the_host_gives_no_negative_time() -> None:
    page = await scrape(STARTED_AT - 5)
    assert set(page.values("container_cpu_usage_seconds_total", "container").values()) == {0}
