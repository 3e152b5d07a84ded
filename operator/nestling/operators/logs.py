"""One form for all log lines, Kopf's and ours: JSON in Pods, colour on terminals.

Our lines are a constant sentence and keys; lines of libraries come through the standard library's logging and
are rendered the same way.
"""

import logging
import sys

import structlog

# Libraries that tell more than anyone asked for: Kopf logs each handler call, asyncio each slow callback.
QUIET = {"kopf": logging.WARNING, "asyncio": logging.WARNING, "aiohttp": logging.WARNING}


def configure_logs(level: str = "info", as_json: bool | None = None) -> None:  # noqa: FBT001  # None decides by the TTY
    """Set up structlog and logging for this process.

    JSON when stderr is not a terminal, unless told otherwise.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json is None:
        as_json = not sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    tail: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        tail.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*tail, renderer])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, number))
