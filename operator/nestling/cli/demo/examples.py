"""The manifests that the demo applies: the files in `examples/`, native ones through `nestling convert`."""

from pathlib import Path

from nestling.api.json import JsonObject
from nestling.api.kinds import CLUSTER
from nestling.cli import documents
from nestling.cli.convert import convert_all
from nestling.cli.translate import Place

# The demo does not want to wait as long as production would until a silent node is given up. The story takes
# this back before it loads the machine: a host that is slow for seconds must not look like dead nodes.
IMPATIENCE: JsonObject = {
    "nodeLifecycle": {"gracePeriodSeconds": 4, "startupGracePeriodSeconds": 10},
    "defaultTolerationSeconds": {"notReady": 1, "unreachable": 1},
}


def directory() -> Path:
    """Where the examples are: in the wheel when installed, in the checkout otherwise. Raises
    FileNotFoundError.
    """
    package = Path(__file__).parents[2]
    for found in (package / "examples", package.parents[1] / "examples"):
        if (found / "cluster.yaml").exists():
            return found
    raise FileNotFoundError(f"no examples beside {package}")


def cluster() -> list[JsonObject]:
    """The VirtualCluster and its node pools, with an impatient node lifecycle."""
    found = [one.value for one in documents.read([str(directory() / "cluster.yaml")])]
    for manifest in found:
        if manifest["kind"] == CLUSTER.name:
            manifest["spec"] = {**(manifest.get("spec") or {}), **IMPATIENCE}
    return found


def shop() -> list[JsonObject]:
    """The shop, converted from native manifests."""
    native = documents.read([str(directory() / "native" / "shop")])
    return convert_all(native, Place("", "")).objects
