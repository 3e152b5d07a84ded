"""A real Prometheus scrapes a running virtual cluster, and the boards' questions have answers.

Our own board must answer every question. Of six stock boards the share of panels with data is printed; panels
that cannot have any are named with their reason and counted as empty.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from nestling.api.kinds import BY_PLURAL
from nestling.chart.board import questions
from nestling.host import binaries
from nestling.host.port import free_ports
from nestling.machinery.login import connect
from realhost import REQUIRE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT: Final = Path(__file__).parents[2]
STOCK: Final[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "testdata" / "stock_boards.yaml").read_text("utf-8")
)
WINDOW: Final = "30s"
SHARE: Final = 0.9
NESTLING: Final = (sys.executable, "-m", "nestling")
NOTHING_AMISS: Final = {
    "Deployments short of pods",
    "Plugins that refuse",
}  # their second question is for this
JOBS: Final = {
    "nestling": "/metrics",
    "kubelet": "/metrics",
    "kube-scheduler": "/metrics",
    "kube-controller-manager": "/metrics",
    "cadvisor": "/metrics/cadvisor",
    "kube-state-metrics": "/metrics/kube-state",
}


@contextmanager
def running(command: list[str], **options: Any) -> Generator[subprocess.Popen[str]]:
    """A program for the length of the test."""
    process = subprocess.Popen(command, text=True, stdout=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


class Prometheus:
    """One that scrapes, and can be asked."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/query?query="

    def ask(self, question: str) -> list[Any]:
        """The samples that answer a question; a question that it cannot read is an error."""
        with urllib.request.urlopen(self._url + urllib.parse.quote(question), timeout=30) as answer:
            return json.load(answer)["data"]["result"]

    def wait(self, question: str, seconds: float) -> None:
        """Until there is an answer."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self.ask(question):
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline, f"no answer within {seconds} s: {question}"
            time.sleep(0.5)


def until(port: int, path: str, holds: Callable[[str], bool], seconds: float) -> None:
    """Until a page of the operator says so."""
    deadline = time.monotonic() + seconds
    text = ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                text = answer.read().decode()
            if holds(text):
                return
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail(f"{path} after {seconds} s: {text[-2000:]}")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus beside an operator whose virtual cluster runs the shop of the examples, for a while."""
    found, _ = binaries.find(("prometheus",))
    if "prometheus" not in found:
        if REQUIRE in os.environ:
            pytest.fail(f"{REQUIRE} is set, but there is no prometheus", pytrace=False)
        pytest.skip("there is no prometheus; `NESTLING_REQUIRE_LOCAL=1 make programs` builds it once")
    home = tmp_path_factory.mktemp("prometheus")
    environment = {**os.environ, "NESTLING_STATE": str(home / "state")}

    def nestling(*arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [*NESTLING, *arguments], env=environment, input=given, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with ExitStack() as stack:
        host = json.loads(nestling("host", "up", "embedded", "-o", "json"))
        stack.callback(nestling, "host", "down", "--purge")
        environment["KUBECONFIG"] = host["kubeconfig"]
        nestling("install", "-n", "team-a", "--create-namespace")
        port, scraper = free_ports(2)
        stack.enter_context(
            running(
                [*NESTLING, "run", "-n", "team-a", "--metrics-address", f"127.0.0.1:{port}"],
                env=environment,
                stderr=subprocess.DEVNULL,
            )
        )
        shop = nestling("convert", "-f", str(ROOT / "examples" / "native" / "shop"))
        create(host["kubeconfig"], (ROOT / "examples" / "cluster.yaml").read_text("utf-8"), shop)
        until(port, "/metrics/kube-state", lambda text: text.count('phase="Running"} 1\n') > 10, 90)
        (home / "prometheus.yml").write_text(yaml.safe_dump(configuration(port)), "utf-8")
        group = {"name": "stock", "interval": "1s", "rules": STOCK["rules"]}
        (home / "rules.yml").write_text(filled(yaml.safe_dump({"groups": [group]}, width=10_000)), "utf-8")
        stack.enter_context(
            running(
                [
                    str(found["prometheus"].path),
                    f"--config.file={home / 'prometheus.yml'}",
                    f"--storage.tsdb.path={home / 'data'}",
                    f"--web.listen-address=127.0.0.1:{scraper}",
                ],
                stderr=subprocess.DEVNULL,
            )
        )
        server = Prometheus(scraper)
        # Rates need two scrapes, and something that happens between them: a pod that is scheduled and runs.
        server.wait("count(up == 1) == 6 and min(count_over_time(up[1m])) > 5", 90)
        late = nestling("convert", "-f", "-", given=yaml.safe_dump(LATE_POD))
        create(host["kubeconfig"], late)
        server.wait('kube_pod_status_phase{pod="late", phase="Running"} == 1', 60)
        yield server


LATE_POD: Final = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "late", "namespace": "shop"},
    "spec": {
        "containers": [
            {"name": "main", "image": "late:1", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
        ]
    },
}


def create(kubeconfig: str, *texts: str) -> None:
    """Create the objects of YAML texts in team-a."""
    kinds = {kind.name: kind for kind in BY_PLURAL.values()}

    async def work() -> None:
        async with connect(Path(kubeconfig)) as client:
            for text in texts:
                for body in yaml.safe_load_all(text):
                    await client.create(kinds[body["kind"]], "team-a", body)

    asyncio.run(work())


def filled(text: str) -> str:
    """A question with its window of time."""
    return text.replace("WINDOW", WINDOW).replace("$__rate_interval", WINDOW)


def configuration(port: int) -> Mapping[str, Any]:
    """One target under the names of the jobs that stock boards ask for, and the rules that they build on."""
    return {
        "global": {"scrape_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": job,
                "metrics_path": path,
                "honor_labels": True,
                "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
            }
            for job, path in JOBS.items()
        ],
    }


def test_our_board_answers_every_question(prometheus: Prometheus) -> None:
    empty = [
        f"{title}: {question}"
        for title, question in questions()
        if title not in NOTHING_AMISS and not prometheus.ask(filled(question).replace("$cluster", ".*"))
    ]
    assert empty == []


def test_stock_boards_fill(prometheus: Prometheus, capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    full = asked = 0
    for board, panels in {**STOCK["boards"], "(besides) Kubelet": STOCK["also"]["Kubelet"]}.items():
        name = board.removeprefix("(besides) ")
        empty = [title for title, text in panels.items() if not prometheus.ask(filled(text))]
        hopeless = list(STOCK["empty"].get(name, {}))
        total = len(panels) + len(hopeless)
        lines.append(f"{board}: {len(panels) - len(empty)} of {total} panels; empty: {empty + hopeless}")
        if board == name:
            full += len(panels) - len(empty)
            asked += total
        assert empty == [], f"{board}: panels that should have data"
    with capsys.disabled():
        print(f"\nstock boards: {full} of {asked} panels with data ({full / asked:.0%})", *lines, sep="\n  ")
    assert full / asked >= SHARE
