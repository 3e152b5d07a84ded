"""The end-to-end tests come last: their cluster lives to the end of the run and takes a third of a core."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move them behind all others, which keep their order."""
    items.sort(key=lambda item: "e2e" in item.path.parts)
