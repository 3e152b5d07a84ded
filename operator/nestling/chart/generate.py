"""Write the generated files of the chart: `python -m nestling.chart.generate [--check] [--root DIRECTORY]`.

Reads the models of values and kinds, the table of rights and the board; writes `helm/nestling/values.yaml`,
`values.schema.json`, `README.md` and what lies in `files/kinds`, `files/parts`, `files/rights` and
`files/dashboards`, the same bytes every time. Templates and the other files are written by hand.
"""

import argparse
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from nestling.api.crd import crds
from nestling.api.generate import put
from nestling.chart import board, definitions, documents, rights

ROOT: Final = Path(__file__).parents[3]
CHART: Final = "helm/nestling"
_FOLDERS: Final = ("kinds", "parts", "rights", "dashboards")
_README: Final = """\
# Nestling

A Kubernetes cluster that nests inside a namespace of another one. This chart installs the kinds and an
operator that keeps virtual clusters alive.

    helm install nestling helm/nestling --namespace team-a --create-namespace
    kubectl -n team-a apply -f examples/cluster.yaml
    kubectl -n team-a get nestling

`helm test nestling -n team-a` brings a node and a pod up and takes them away again.

- **One namespace or all.** By default the release's own host namespace is the virtual cluster, and a Role in
  it is all the operator has. `namespaces` names others; with `scope: cluster` every host namespace is one.
- **The kinds** belong to one release per host. Further releases, and users who may not create
  CustomResourceDefinitions, set `crds.enabled: false`. `crds.keep` keeps them when the release goes.
- **Uninstalling** deletes the virtual clusters that the release serves first, so that nothing is left behind
  that only the operator could finish. It works without a living operator and ends in time.
- **One process or several.** `topology: split` gives scheduler, controllers and each kubelet shard pods of
  their own. Replicas stand by: one per role is at work, elected by a Lease.

## Values

"""


@cache
def files() -> Mapping[str, bytes]:
    """Content of all generated files, by their path below the root of the project."""
    made = {
        f"{CHART}/values.yaml": documents.values_yaml().encode(),
        f"{CHART}/values.schema.json": documents.schema_json().encode(),
        f"{CHART}/README.md": (_README + documents.table()).encode(),
    }
    made[f"{CHART}/files/dashboards/nestling.json"] = board.board_json()
    for name, text in {**definitions.folded(crds()), **rights.files()}.items():
        made[f"{CHART}/files/{name}"] = text
    return made


def drift(root: Path) -> list[str]:
    """Paths below `root` of files that are missing, differ or should not be there."""
    folders = (root / CHART / "files" / folder for folder in _FOLDERS)
    paths = [path for folder in folders for path in folder.glob("*")]
    paths += [root / path for path in files() if (root / path).exists()]
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    return sorted(path for path in files().keys() | found.keys() if files().get(path) != found.get(path))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m nestling.chart.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, report what would change")
    parser.add_argument("--root", type=Path, default=ROOT, help="root of the project")
    options = parser.parse_args(arguments)
    root: Path = options.root
    changed = drift(root)
    if options.check:
        for path in changed:
            print(f"{path} differs from its source; run make generate", file=sys.stderr)
        return 1 if changed else 0
    put(root, files(), changed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
