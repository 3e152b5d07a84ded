"""Durations as Go writes them, such as 1m30s.

Source: Go, time.ParseDuration; Kubernetes 1.37, apimachinery/pkg/apis/meta/v1 (Duration).
"""

from collections.abc import Mapping
from typing import Final

_UNITS: Final[Mapping[str, float]] = {"ms": 0.001, "us": 1e-6, "ns": 1e-9, "h": 3600.0, "m": 60.0, "s": 1.0}


def seconds_of_duration(text: str) -> float:
    """Seconds of a Go duration such as 1m30s or 500ms. Raises ValueError for anything else, and for none."""
    rest, total = text, 0.0
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        unit = next((unit for unit in _UNITS if rest[digits:].startswith(unit)), "")
        try:
            total += float(rest[:digits]) * _UNITS[unit]
        except (KeyError, ValueError):
            raise ValueError(f"{text!r} is no duration such as 5s or 500ms") from None
        rest = rest[digits + len(unit) :]
    if total <= 0:
        raise ValueError(f"{text!r} is no time to wait: give it more than nothing")
    return total
