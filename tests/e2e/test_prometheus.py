"""A real Prometheus scrapes a release in kind, and answers what a board would ask it."""

import json
import os
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, until
from test_first_steps import POOL, WEB, installed, running

from nestling.host import binaries

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CONFIG = """\
global: {{scrape_interval: 2s, scrape_timeout: 2s}}
scrape_configs:
  - job_name: nestling
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: kube-state-metrics
    honor_labels: true
    metrics_path: /metrics/kube-state
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def started(command: list[str], env: dict[str, str], log: Path) -> Generator[None]:
    """A program that runs for as long as the block."""
    with (
        log.open("wb") as file,
        subprocess.Popen(command, env={**os.environ, **env}, stdout=file, stderr=subprocess.STDOUT) as child,
    ):
        try:
            yield
        finally:
            child.terminate()


def asked(port: int, query: str) -> list[dict[str, Any]]:
    """The samples that answer a query; none while Prometheus is not up."""
    url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.loads(answer.read())["data"]["result"]
    except OSError:
        return []


def test_real_prometheus_fills_from_a_release(bench: Bench, tmp_path: Path) -> None:
    found, _ = binaries.find(["prometheus"])
    if "prometheus" not in found:
        pytest.skip(binaries.missing_sentence(["prometheus"], found))
    with installed(bench, "scraped") as space:
        bench.kubectl("-n", space, "apply", "-f", "-", stdin=POOL)
        bench.kubectl("-n", space, "apply", "-f", "-", stdin=WEB)
        until("pods Running", lambda: running(bench, space) == 20, within_s=180)
        target, port = free_port(), free_port()
        config = tmp_path / "prometheus.yml"
        config.write_text(CONFIG.format(port=target))
        forward = [str(bench.cluster.kubectl_path), "-n", space, "port-forward", "deployment/nestling"]
        prometheus = [
            str(found["prometheus"].path),
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (
            started([*forward, f"{target}:8080"], bench.env, tmp_path / "forward.log"),
            started(prometheus, {}, tmp_path / "prometheus.log"),
        ):
            until("both targets up", lambda: len(asked(port, "up == 1")) == 2, within_s=120)
            wanted = {
                f'count(kube_pod_info{{cluster="{space}"}})': 20,
                f'sum(kube_pod_status_phase{{cluster="{space}", phase="Running"}})': 20,
                f'count(kube_node_info{{cluster="{space}"}})': 3,
                'kube_deployment_status_replicas_available{deployment="web"}': 20,
            }
            for query, value in wanted.items():
                until(query, lambda query=query: asked(port, query), within_s=60)
                assert float(asked(port, query)[0]["value"][1]) == value, query
            for family in (
                "workqueue_depth",
                "scheduler_schedule_attempts_total",
                "kubelet_running_pods",
                "rest_client_requests_total",
                "leader_election_master_status",
            ):
                assert asked(port, f"count({family})"), family
