"""CEL rules of a schema (`x-kubernetes-validations`), compiled once."""

from collections.abc import Mapping
from typing import Any

from nestling.apiserver.refusal import Violation


class Rules:
    """The compiled rules of one version of one kind."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self.source = source

    def check(self, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[Violation]:
        """What the rules forbid."""
        return []

    def unsupported(self, kind: str) -> list[str]:
        """Rules that cannot be evaluated."""
        return []
