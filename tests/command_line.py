"""Type a command line at `nestling` and see what it left behind."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from typer.testing import CliRunner

from nestling.cli.main import app


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output as JSON."""
        return orjson.loads(self.out)


Typed: TypeAlias = Callable[..., Done]


def typed(*arguments: str, stdin: str | bytes = "") -> Done:
    """Run one command line; `stdin` is what is piped in. A traceback is never right: it is raised."""
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)
