"""A Kopf operator that only takes notes: what its handler hears goes to stdout, a JSON line each."""

import json
import os
from typing import Any

import kopf


@kopf.on.login()
def login(**_: object) -> kopf.ConnectionInfo:
    """Who the test says we are."""
    return kopf.ConnectionInfo(
        server=os.environ["SERVER"], token=os.environ["TOKEN"], ca_path=os.environ["CA_PATH"]
    )


@kopf.on.startup()
def configure(*, settings: kopf.OperatorSettings, **_: object) -> None:
    """Hear every event at once and write none."""
    settings.batching.batch_window = 0
    settings.posting.enabled = False


@kopf.on.event("test.nestling.dev", "v1", "widgets")
async def note(*, event: kopf.RawEvent, name: str, **_: Any) -> None:
    """One line of the notes."""
    print(json.dumps([event["type"], name]), flush=True)
