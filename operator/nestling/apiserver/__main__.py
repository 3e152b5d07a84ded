"""`python -m nestling.apiserver`: the embedded API server as a process of its own, on loopback.

The state lives in one SQLite file, or in memory without `--data`. SIGTERM ends it politely; SIGKILL loses
nothing that was acknowledged.
"""

import argparse
import asyncio
import signal
import sqlite3
import ssl
import sys
from pathlib import Path

import structlog

from nestling.apiserver.api import Api
from nestling.apiserver.http import Server
from nestling.apiserver.sqlite import SqliteJournal
from nestling.apiserver.store import Store

log = structlog.get_logger(__name__)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m nestling.apiserver", description="The embedded API server."
    )
    parser.add_argument("--data", type=Path, help="SQLite file that holds the state; in memory if not given")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; a free one if 0")
    parser.add_argument("--port-file", type=Path, help="write the port there once the server listens")
    parser.add_argument("--token-file", type=Path, required=True, help="file with one bearer token per line")
    parser.add_argument("--certificate", type=Path, help="PEM certificate; plain HTTP without it")
    parser.add_argument("--key", type=Path, help="PEM key of the certificate")
    return parser.parse_args(arguments)


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server context with one certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def serve(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; answer the exit code."""
    tokens = frozenset(options.token_file.read_text().split())
    if not tokens:
        print("the token file holds no token", file=sys.stderr)
        return 2
    try:
        journal = None if options.data is None else SqliteJournal(options.data)
    except sqlite3.Error as error:
        print(f"cannot open {options.data}: {error}; does another server use it?", file=sys.stderr)
        return 1
    store = Store(journal)
    if journal is not None:
        journal.restore(store)
        journal.commit_by(asyncio.get_running_loop().call_soon)
    server = Server(Api(store, settles=False), tokens=tokens)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tls = tls_context(options.certificate, options.key) if options.certificate else None
    port = await server.start(port=options.port, tls=tls)
    if options.port_file is not None:
        # Renamed into place, so that whoever waits for it never reads half a number.
        draft = options.port_file.with_suffix(".tmp")
        draft.write_text(str(port))
        draft.rename(options.port_file)
    await stop.wait()
    await server.stop()
    if journal is not None:
        journal.close()
    log.info("api server stopped")
    return 0


def main() -> int:
    """Run the server in the fastest event loop there is."""
    options = parse(sys.argv[1:])
    if sys.platform == "win32":
        return asyncio.run(serve(options))
    import uvloop  # noqa: PLC0415 - does not exist on every platform

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(options))


if __name__ == "__main__":
    sys.exit(main())
