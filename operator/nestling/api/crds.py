"""Find and read the generated CRDs: from the wheel when installed, from the checkout otherwise."""

from pathlib import Path

import yaml

from nestling.api.json import JsonObject


def crd_directory() -> Path:
    """Where the manifests are. Raises FileNotFoundError when there are none."""
    package = Path(__file__).parents[1]
    for directory in (package / "crds", package.parents[1] / "crds"):
        if any(directory.glob("*.yaml")):
            return directory
    raise FileNotFoundError(f"no CRDs beside {package}: run make generate")


def load_crds() -> list[JsonObject]:
    """Every CustomResourceDefinition, in the order of their names."""
    return [
        yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        for path in sorted(crd_directory().glob("*.yaml"))
    ]
