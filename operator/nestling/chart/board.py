"""The Grafana board of the chart, as code: what is shown, in which order, and the question behind each panel.

`board()` is the JSON that Grafana imports; variables are those of stock boards (`datasource`, `cluster`),
times are UTC, the uid is stable. A test asks every question of a real Prometheus that has scraped a running
virtual cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import orjson

from nestling.api.json import JsonObject

UID: Final = "nestling-cluster"
SOURCE: Final[JsonObject] = {"type": "prometheus", "uid": "${datasource}"}
WIDTH: Final = 24  # Grafana's grid
HEIGHT: Final = 7
CHOSEN: Final = 'cluster=~"$cluster"'
WANTED: Final = "kube_deployment_spec_replicas"
AVAILABLE: Final = "kube_deployment_status_replicas_available"
WORKLOAD: Final = "namespace, deployment"
REQUESTED: Final = "kube_pod_container_resource_requests"
ALLOCATABLE: Final = "kube_node_status_allocatable"
ALL: Final = ""  # the operator's own series belong to no virtual cluster

Unit = Literal["short", "s", "percentunit", "bytes", "reqps", "cores", "ops"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: a title, what it means, and pairs of a question and the legend of its answers."""

    title: str
    says: str
    asks: tuple[tuple[str, str], ...]
    unit: Unit = "short"
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that belong together, side by side."""

    title: str
    panels: Sequence[Panel] = field(default_factory=tuple[Panel, ...])


def _sum(family: str, by: str = "", *, where: str = CHOSEN) -> str:
    return f"sum{f' by ({by}) ' if by else ''}({family}{{{where}}})"


def _rate(family: str, by: str = "", *, where: str = CHOSEN) -> str:
    return f"sum{f' by ({by}) ' if by else ''}(rate({family}{{{where}}}[$__rate_interval]))"


def _p99(family: str, by: str = "", *, where: str = CHOSEN) -> str:
    return f"histogram_quantile(0.99, {_rate(f'{family}_bucket', f'{by}, le' if by else 'le', where=where)})"


ROWS: Final = (
    Row(
        "State of the virtual cluster",
        (
            Panel(
                "Nodes",
                "Nodes by readiness.",
                (
                    (
                        _sum("kube_node_status_condition", "status", where=f'{CHOSEN}, condition="Ready"'),
                        "Ready {{status}}",
                    ),
                ),
                kind="stat",
            ),
            Panel(
                "Pods by phase",
                "All pods of the chosen clusters.",
                ((_sum("kube_pod_status_phase", "phase"), "{{phase}}"),),
                stacked=True,
            ),
            Panel(
                "Deployments short of pods",
                "Wanted minus available pods, where some are missing.",
                (
                    (
                        f"{_sum(WANTED, WORKLOAD)} - {_sum(AVAILABLE, WORKLOAD)} > 0",
                        "{{namespace}}/{{deployment}}",
                    ),
                    ("vector(0)", "none"),
                ),
            ),
            Panel(
                "Restarts of containers",
                "Restarts per second, by pod's namespace.",
                ((_rate("kube_pod_container_status_restarts_total", "namespace"), "{{namespace}}"),),
                unit="ops",
            ),
        ),
    ),
    Row(
        "Scheduling: how fast, and why pods wait",
        (
            Panel(
                "Pods scheduled",
                "Attempts per second by their result.",
                ((_rate("scheduler_schedule_attempts_total", "result"), "{{result}}"),),
                unit="ops",
            ),
            Panel(
                "Time to a node, 99th percentile",
                "From the first sight of a pod to its node, and the share of it that choosing takes.",
                (
                    (_p99("scheduler_pod_scheduling_sli_duration_seconds"), "wait"),
                    (_p99("scheduler_scheduling_algorithm_duration_seconds"), "choice"),
                ),
                unit="s",
            ),
            Panel(
                "Pods that wait",
                "By queue: unschedulable ones need a change of the cluster, gated ones of themselves.",
                ((_sum("scheduler_pending_pods", "queue"), "{{queue}}"),),
                stacked=True,
            ),
            Panel(
                "Plugins that refuse",
                "Unschedulable pods by the plugin that refused them.",
                ((_sum("scheduler_unschedulable_pods", "plugin"), "{{plugin}}"), ("vector(0)", "none")),
            ),
        ),
    ),
    Row(
        "Controllers",
        (
            Panel(
                "Keys looked at",
                "Per second and controller.",
                ((_rate("workqueue_adds_total", "name", where=ALL), "{{name}}"),),
                unit="ops",
            ),
            Panel(
                "Keys in line",
                "Depth of each queue.",
                ((_sum("workqueue_depth", "name", where=ALL), "{{name}}"),),
            ),
            Panel(
                "Time in line, 99th percentile",
                "From the change to the look at it.",
                ((_p99("workqueue_queue_duration_seconds", "name", where=ALL), "{{name}}"),),
                unit="s",
            ),
            Panel(
                "Failures",
                "Retries per second, and exceptions that escaped a loop.",
                (
                    (_rate("workqueue_retries_total", "name", where=ALL), "retries {{name}}"),
                    (f"{_rate('nestling_loop_failures_total', where=ALL)} or vector(0)", "exceptions"),
                ),
                unit="ops",
            ),
        ),
    ),
    Row(
        "Kubelets",
        (
            Panel(
                "Running pods and containers",
                "Over all nodes.",
                (
                    (_sum("kubelet_running_pods"), "pods"),
                    (_sum("kubelet_running_containers"), "containers"),
                ),
            ),
            Panel(
                "Pod start, 99th percentile",
                "From the creation of a pod to all its containers running.",
                ((_p99("kubelet_pod_start_sli_duration_seconds", where=ALL), "start"),),
                unit="s",
            ),
            Panel(
                "Requested of allocatable",
                "Share of the nodes' CPU and memory that pods have asked for.",
                tuple(
                    (f"{_sum(REQUESTED, where=resource)} / {_sum(ALLOCATABLE, where=resource)}", what)
                    for what in ("cpu", "memory")
                    for resource in (f'{CHOSEN}, resource="{what}"',)
                ),
                unit="percentunit",
            ),
            Panel(
                "Operations of the runtime",
                "Per second, by what is done.",
                (
                    (
                        _rate("kubelet_runtime_operations_total", "operation_type", where=ALL),
                        "{{operation_type}}",
                    ),
                ),
                unit="ops",
            ),
        ),
    ),
    Row(
        "The host, as the operator sees it",
        (
            Panel(
                "Writes",
                "Per second, by their result: conflicts are looks at an old view, decided anew.",
                ((_rate("nestling_host_writes_total", "result", where=ALL), "{{result}}"),),
                unit="ops",
                stacked=True,
            ),
            Panel(
                "Answer to a write, 99th percentile",
                "Time until the host answers.",
                ((_p99("nestling_host_write_duration_seconds", "verb", where=ALL), "{{verb}}"),),
                unit="s",
            ),
            Panel(
                "Lag of the watches",
                "Age of the oldest own write that no watch has brought back yet.",
                (("max by (kind) (nestling_watch_echo_lag_seconds)", "{{kind}}"),),
                unit="s",
            ),
            Panel(
                "The operator itself",
                "Memory of each process, and leaders by role.",
                (
                    ('process_resident_memory_bytes{job="nestling"}', "memory {{instance}}"),
                    (_sum("leader_election_master_status", "name", where=ALL), "leads {{name}}"),
                ),
                unit="bytes",
            ),
        ),
    ),
)


def questions() -> list[tuple[str, str]]:
    """Title of a panel and question, for all panels, with the variables still in."""
    return [(panel.title, ask) for row in ROWS for panel in row.panels for ask, _ in panel.asks]


def board() -> JsonObject:
    """The board as Grafana takes it."""
    panels: list[JsonObject] = []
    y = 0
    for row in ROWS:
        panels.append(
            {"type": "row", "title": row.title, "collapsed": False, "id": len(panels) + 1}
            | {"gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}, "panels": []}
        )
        y += 1
        width = WIDTH // len(row.panels)
        for place, panel in enumerate(row.panels):
            grid = {"x": place * width, "y": y, "w": width, "h": HEIGHT}
            panels.append({"id": len(panels) + 1, "gridPos": grid, **_panel(panel)})
        y += HEIGHT
    return {
        "uid": UID,
        "title": "Nestling / virtual clusters",
        "tags": ["nestling", "kubernetes"],
        "timezone": "utc",
        "schemaVersion": 41,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": panels,
    }


def board_json() -> bytes:
    """The file in the chart."""
    return orjson.dumps(board(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _panel(panel: Panel) -> JsonObject:
    custom: JsonObject = {"stacking": {"mode": "normal"}, "fillOpacity": 20} if panel.stacked else {}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": custom}, "overrides": []},
        "options": {} if panel.kind == "stat" else {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": ask, "legendFormat": legend}
            for place, (ask, legend) in enumerate(panel.asks)
        ],
    }


def _variables() -> list[JsonObject]:
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        {
            "name": "cluster",
            "label": "Virtual cluster",
            "type": "query",
            "datasource": SOURCE,
            "query": "label_values(kube_node_info, cluster)",
            "refresh": 2,
            "multi": True,
            "includeAll": True,
        },
    ]
