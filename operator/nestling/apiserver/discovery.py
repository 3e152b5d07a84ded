"""Discovery."""

from nestling.apiserver.exchange import Request, Response
from nestling.apiserver.resource import Registry


def answer(registry: Registry, request: Request) -> Response | None:
    """Answer a discovery path."""
    return None
