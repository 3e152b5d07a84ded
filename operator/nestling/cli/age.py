"""Ages of objects, from the timestamps of the API, as kubectl writes them."""

import datetime as dt

from nestling.machinery.duration import human

__all__ = ["human", "parse", "since"]


def parse(text: object) -> dt.datetime | None:
    """A timestamp of the API, None if it is none."""
    if not isinstance(text, str):
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def since(text: object, now: dt.datetime) -> str:
    """The age of a timestamp of the API, `<unknown>` if it is none."""
    then = parse(text)
    return "<unknown>" if then is None else human((now - then).total_seconds())
