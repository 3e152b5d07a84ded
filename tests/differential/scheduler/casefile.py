"""A disagreement as a file: a small cluster and a pod, in YAML, named after what was wrong."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import yaml

from differential.scheduler.clusters import Cluster

CASES: Final = Path(__file__).parent / "cases"


def write(cluster: Cluster, path: Path) -> None:
    """Write a cluster down."""
    content = {key: value for key, value in asdict(cluster).items() if value}
    path.write_text(yaml.dump(content, Dumper=_Plain, sort_keys=False, width=110, default_flow_style=None))


def read(path: Path) -> Cluster:
    """Read one."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return Cluster(**content)


def cases() -> Iterator[Path]:
    """Every case that was kept."""
    yield from sorted(CASES.glob("*.yaml"))


class _Plain(yaml.SafeDumper):
    """Without anchors: a case is read by people."""

    def ignore_aliases(self, data: object) -> bool:
        """Never refer to what was written before."""
        return True
