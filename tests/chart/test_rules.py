"""Alerts and board of the chart: promtool judges the rules; each alert fires, keeps silent, has a runbook."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from rendering import program

from nestling.chart.board import questions

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "helm" / "nestling" / "files" / "rules"
CASES: Final = Path(__file__).parent / "rules"
BOARD: Final = ROOT / "helm" / "nestling" / "files" / "dashboards" / "nestling.json"
RUNBOOKS: Final = ROOT / "docs" / "how-to" / "runbooks.md"


def alerts() -> list[dict[str, Any]]:
    """Every alert of the chart."""
    groups = [group for path in RULES.glob("*.yaml") for group in yaml.safe_load(path.read_text("utf-8"))]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@pytest.mark.integration
@pytest.mark.parametrize("name", [path.stem for path in RULES.glob("*.yaml")])
def test_promtool_accepts_the_rules_and_every_case_holds(name: str, tmp_path: Path) -> None:
    # In the chart a file is a list of groups; Prometheus wants them below a key.
    groups = yaml.safe_load((RULES / f"{name}.yaml").read_text("utf-8"))
    (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"groups": groups}), "utf-8")
    shutil.copy(CASES / f"{name}.test.yaml", tmp_path)
    for what in (["check", "rules", f"{name}.yaml"], ["test", "rules", f"{name}.test.yaml"]):
        done = subprocess.run(
            [program("promtool"), *what],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    cases = [
        case
        for path in CASES.glob("*.test.yaml")
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]
        for case in test.get("alert_rule_test") or ()
    ]
    fires = {case["alertname"] for case in cases if case.get("exp_alerts")}
    assert {alert["alert"] for alert in alerts()} == fires


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_has_a_runbook(alert: dict[str, Any]) -> None:
    anchor = alert["annotations"]["runbook_url"].rpartition("#")[2]
    headings = re.findall(r"^## (\w+)$", RUNBOOKS.read_text("utf-8"), re.MULTILINE)
    assert anchor == alert["alert"].lower()
    assert alert["alert"] in headings
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}


def test_panels_do_not_overlap_and_ask_something() -> None:
    panels = json.loads(BOARD.read_bytes())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert panel["type"] == "row" or panel["targets"], panel["title"]
        taken |= cells
    assert len(questions()) >= 20
