"""Prefer nodes that have the images already, the more so the larger they are and the more nodes have them.

Source: Kubernetes 1.37, plugins/imagelocality/image_locality.go.
"""

from collections import Counter
from typing import ClassVar, Final

import numpy as np

from nestling.scheduler.framework import TOP_SCORE, ScorePlugin
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import Aspect, IntArray, NodeTable, Rows

_MB: Final = 1024 * 1024
LEAST: Final = 23 * _MB  # less than this makes no difference
MOST: Final = 1000 * _MB  # and more than this per image makes none either


class ImageLocality(ScorePlugin):
    """Score by the bytes that need not be pulled."""

    name: ClassVar[str] = "ImageLocality"
    reads: ClassVar[Aspect] = Aspect.NODE | Aspect.IMAGES
    row_by_row: ClassVar[bool] = False  # an image counts by the share of all nodes that have it

    def prepare_score(self, pods: PodClass, nodes: NodeTable) -> Counter[str] | None:
        """How often the pod names each image."""
        return Counter(map(normalized_name, pods.images)) or None

    def score(self, state: Counter[str], nodes: NodeTable, rows: Rows) -> IntArray:
        """0 for next to nothing up to 100 for a gigabyte per image."""
        there = [(times, image) for name, times in state.items() if (image := nodes.images.get(name))]
        if not there:
            return np.zeros(len(nodes.alive[rows]), np.int64)
        total = np.zeros(nodes.rows, np.int64)
        for times, image in there:
            total[list(image.rows)] += times * int(image.size * (len(image.rows) / nodes.count))
        most = MOST * state.total()
        return (TOP_SCORE * (np.clip(total, LEAST, most) - LEAST) // (most - LEAST))[rows]

    def flat(self, state: Counter[str], scores: IntArray) -> bool:
        """Always: nothing is judged by the feasible nodes."""
        return True


def normalized_name(name: str) -> str:
    """An image's name with its tag, `latest` if it has none."""
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"
