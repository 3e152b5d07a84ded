"""How often the server was asked for what, and how long it took."""

from collections import Counter

from nestling.apiserver.resource import Resource
from nestling.apiserver.state import State


class Counts:
    """Counters of requests and writes."""

    def __init__(self, state: State) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.writes = state.writes

    def observe(self, verb: str, resource: Resource | None, code: int, seconds: float) -> None:
        """Count one request."""
        self.requests[verb, resource.plural if resource else "", code] += 1
