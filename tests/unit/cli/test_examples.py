"""The examples are what they say: they convert without a warning, and a host with our kinds takes them."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from badinput.pipeline import KINDS
from command_line import typed
from nestling.api.kinds import DEPLOYMENT, NODE, NODE_POOL, POD
from nestling.cli import documents
from nestling.cli.translate import LeftOut, Place, translate
from simulation import CLUSTER, World

EXAMPLES = Path(__file__).parents[3] / "examples"
NATIVE = EXAMPLES / "native"


def virtual(path: Path) -> list[dict[str, Any]]:
    """The virtual objects of an example."""
    found = [translate(one.value, Place()) for one in documents.read([str(path)], recursive=True)]
    assert not any(isinstance(one, LeftOut) for one in found)
    return [one for one in found if not isinstance(one, LeftOut)]


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda path: str(path.relative_to(EXAMPLES))
)
def test_an_example_converts_without_a_word(path: Path) -> None:
    done = typed("convert", "-f", str(path), "--strict")
    assert (done.code, done.err) == (0, "")
    assert list(yaml.safe_load_all(done.out))


def test_the_shop_is_a_real_application() -> None:
    objects = virtual(NATIVE / "shop")
    kinds = Counter(one["kind"] for one in objects)
    deployments = [one for one in objects if one["kind"] == DEPLOYMENT.name]
    assert kinds["VirtualDeployment"] >= 10
    assert kinds["VirtualService"] >= 10
    assert 25 <= sum(one["spec"]["replicas"] for one in deployments) <= 30
    assert all(one["metadata"]["name"].endswith(".shop") for one in deployments)


def test_the_shop_runs_on_the_example_cluster_and_trouble_stays_trouble() -> None:
    with World() as world:
        for one in (*virtual(EXAMPLES / "cluster.yaml"), *virtual(NATIVE)):
            world.request("POST", KINDS[one["kind"]].path(CLUSTER), one)
        world.run_for(60)
        assert world.bugs == []
        wanted = sum(pool["spec"]["replicas"] for pool in world.list(NODE_POOL))
        assert len(world.list(NODE)) == wanted == 10
        shown = {pod["metadata"]["name"]: _status(pod) for pod in world.list(POD)}
        accelerated = {
            pod["spec"]["nodeName"]
            for pod in world.list(POD)
            if pod["metadata"]["name"].startswith("recommendations-")
        }
    shop = {name: status for name, status in shown.items() if name.endswith(".shop")}
    done = {name for name in shop if name.startswith("import-")}
    assert {shop.pop(name) for name in done} == {"Completed"}
    assert len(done) == 6
    assert set(shop.values()) == {"Running"}
    assert Counter(name.partition("-")[0] for name in shop) >= Counter(ledger=3, agent=10)
    assert len(shop) == 26 + 3 + 10
    assert accelerated <= {"accelerated-0", "accelerated-1"}
    assert shown.pop("too-large") == "Pending"
    [failing] = {status for name, status in shown.items() if name.startswith("crash-loop-")}
    assert failing in {"CrashLoopBackOff", "Error", "Running"}


def _status(pod: dict[str, Any]) -> str:
    status = pod.get("status") or {}
    return (status.get("display") or {}).get("status") or status.get("phase") or "Pending"
