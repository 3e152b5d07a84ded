"""Import Kopf and structlog without what they would load on the side.

Kopf looks for the Kubernetes clients to recognise their models when handlers return them; ours never do.
structlog looks for rich, which paints tracebacks; ours are for log files. Measured with Kopf 1.45.2 and
structlog 26.1, of a process of 87 MiB: `kubernetes` 37 is 19 MiB and 350 modules, `pykube` (which only tests
bring along) 7 MiB and 200 modules, `rich` 3 MiB.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

CLIENTS: Final = ("kubernetes", "kubernetes_asyncio", "pykube")


def import_lean() -> None:
    """Load both lean; call it before anything else imports them. Later imports of the others are free."""
    if "structlog" not in sys.modules:
        with _hidden("rich"):
            import structlog  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]
    if "kopf" not in sys.modules:
        with _hidden(*CLIENTS):
            import kopf  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]


@contextmanager
def _hidden(*names: str) -> Generator[None]:
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # pyright: ignore[reportArgumentType]  # Python's own mark for "not there"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
