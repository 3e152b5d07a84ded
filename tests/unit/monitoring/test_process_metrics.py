"""A whole process with every role: each page can be read, and its families are named as Prometheus asks.

The rules are those of `promtool check metrics` that names alone can tell.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from embedded_server import EmbeddedServer, embedded_server
from nestling.api.crds import load_crds
from nestling.api.kinds import NODE_POOL, POD, Kind
from nestling.machinery.login import log_in
from nestling.monitoring import cadvisor
from nestling.monitoring.kube_state.page import PATH
from nestling.operators.process import Options, Process
from nestling.operators.roles import ROLES, Role
from unit.monitoring.scraping import Scrape

pytestmark = pytest.mark.timeout(60)

CLUSTER = "team-a"
SUFFIXES_OF_SERIES = ("_count", "_sum", "_bucket")
OTHER_UNITS = re.compile(r"(_milliseconds|_millis|_minutes|_hours|_ms|_kilobytes|_megabytes)(_|$)")


@asynccontextmanager
async def a_process(host: EmbeddedServer, *roles: Role) -> AsyncGenerator[str]:
    """All of it in this test, leading at once; yields where its pages are."""
    options = Options(clusters=(CLUSTER,), metrics_port=0, elect=False)
    process = Process(log_in(host.kubeconfig), roles, options)
    running = asyncio.create_task(process.run())
    try:
        await asyncio.wait(
            {running, ready := asyncio.create_task(process.status.ready.wait())},
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert ready.done(), running
        yield f"http://127.0.0.1:{process.status.metrics_port}"
    finally:
        running.cancel()
        await asyncio.wait({running})


async def text_of(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return await answer.text()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():
        await asyncio.sleep(0.05)


def create(host: EmbeddedServer, kind: Kind, name: str, spec: dict[str, object]) -> None:
    body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": name}, "spec": spec}
    status, answer = host.request("POST", kind.path(CLUSTER), body)
    assert status == 201, answer


def faults_of(family: Metric) -> list[str]:
    """What the rules have against a family."""
    names = {label for sample in family.samples for label in sample.labels}
    found = [
        (not family.documentation.strip(), "no help"),
        (family.type == "unknown", "no type"),
        (re.fullmatch(r"[a-z][a-z0-9_]*", family.name) is None, "not lower case with underscores"),
        (family.type != "counter" and family.name.endswith("_total"), "_total on what is no counter"),
        (
            family.type == "counter"
            and any(not s.name.endswith(("_total", "_created")) for s in family.samples),
            "a counter without _total",
        ),
        (family.type == "gauge" and family.name.endswith(SUFFIXES_OF_SERIES), "a suffix of histograms"),
        (OTHER_UNITS.search(family.name) is not None, "not in base units"),
        (family.type != "histogram" and "le" in names, "label le"),
        ("quantile" in names, "label quantile"),
        (any(re.fullmatch(r"[a-z][a-z0-9_]*", name) is None for name in names), "odd label name"),
    ]
    return [fault for bad, fault in found if bad]


def a_family(name: str, kind: str, *samples: str, text: str = "Help.") -> Metric:
    page = f"# HELP {name} {text}\n# TYPE {name} {kind}\n" + "".join(f"{sample} 1\n" for sample in samples)
    return next(iter(text_string_to_metric_families(page)))


@pytest.mark.parametrize(
    ("family", "faults"),
    [
        pytest.param(a_family("a_total", "counter", "a_total"), [], id="a counter"),
        pytest.param(a_family("a_total", "gauge", "a_total"), ["_total on what is no counter"], id="a total"),
        pytest.param(a_family("a", "gauge", "a", text=""), ["no help"], id="without help"),
        pytest.param(a_family("podCount", "gauge"), ["not lower case with underscores"], id="camel case"),
        pytest.param(a_family("pod_count", "gauge"), ["a suffix of histograms"], id="suffix"),
        pytest.param(a_family("a_ms", "gauge"), ["not in base units"], id="milliseconds"),
        pytest.param(a_family("a", "gauge", 'a{le="1"}'), ["label le"], id="a bucket that is none"),
    ],
)
def test_the_rules_find_what_they_look_for(family: Metric, faults: list[str]) -> None:
    assert faults_of(family) == faults


async def test_every_family_of_a_process_keeps_the_rules(tmp_path: Path) -> None:
    with embedded_server(tmp_path, context_namespace=CLUSTER) as host:
        for crd in load_crds():
            host.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CLUSTER}}
        host.request("POST", "/api/v1/namespaces", namespace)
        async with a_process(host, *ROLES.values()) as url:
            create(host, NODE_POOL, "pool", {"replicas": 2})
            create(host, POD, "web.shop", {"containers": [{"name": "main", "image": "web:1"}]})

            async def running() -> bool:
                phases = Scrape(await text_of(url + PATH)).values("kube_pod_status_phase", phase="Running")
                return phases == {(): 1}

            await until(running)
            pages = [Scrape(await text_of(url + path)) for path in ("/metrics", PATH, cadvisor.PATH)]

    own, state, containers = (page.families for page in pages)
    assert not own.keys() & state.keys() & containers.keys(), "a family on two pages"
    assert pages[2].values(
        "container_cpu_usage_seconds_total", "cluster", "namespace", "pod", "container"
    ) == {(CLUSTER, "shop", "web", "main"): 0}
    assert {"scheduler_schedule_attempts", "kubelet_running_pods", "workqueue_depth"} <= own.keys()
    for total in ("watch_events", "watch_restarts", "ghosts", "events_written", "events_dropped"):
        assert own[f"nestling_{total}"].type == "counter"
    assert pages[0].values("nestling_watch_events_total")[()] > 0
    faults = {
        family.name: found
        for family in (*own.values(), *state.values(), *containers.values())
        if (found := faults_of(family))
    }
    assert faults == {}


async def test_only_the_role_that_sees_everything_serves_the_state(tmp_path: Path) -> None:
    with embedded_server(tmp_path, context_namespace=CLUSTER) as host:
        for crd in load_crds():
            host.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
        async with (
            a_process(host, ROLES["kubelet"]) as url,
            aiohttp.ClientSession() as session,
            session.get(url + PATH) as answer,
        ):
            assert answer.status == 404
