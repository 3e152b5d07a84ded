"""Extenders for both sides: services whose answers depend on the names of pod and nodes alone.

kube-scheduler asks them over HTTP; our side is given what the same function says. One is told nodes whole and
only looks after a resource, one knows them by name and may be ignored when it breaks, one must not break.
None is told nodes whole and filters, for then kube-scheduler goes on with the nodes of the answer, and scores
them as if no pod was on them (pkg/scheduler/extender.go, Filter); we score them as they are.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit
from zlib import crc32

import orjson

from differential.scheduler.clusters import GPU
from differential.scheduler.theirs import configuration
from nestling.api.json import JsonObject
from nestling.machinery.controller import Answer
from nestling.machinery.plan import Ask

REASONS: Final = ("node is reserved", "node is too hot", "")
BROKEN: Final = 500


def configured(url: str) -> JsonObject:
    """The default profile without preemption, and three extenders at this URL."""
    document = configuration(("DefaultPreemption",))
    both: JsonObject = {"filterVerb": "filter", "prioritizeVerb": "prioritize", "httpTimeout": "5s"}
    document["extenders"] = [
        {
            **both,
            "filterVerb": "",
            "urlPrefix": f"{url}/gpu",
            "weight": 3,
            "managedResources": [{"name": GPU}],
        },
        {**both, "urlPrefix": f"{url}/moody", "weight": 2, "nodeCacheCapable": True, "ignorable": True},
        {**both, "urlPrefix": f"{url}/strict", "weight": 1, "nodeCacheCapable": True},
    ]
    return document


def answer_to(path: str, body: JsonObject) -> tuple[int, Any]:
    """Status and answer of one extender, whoever asks."""
    _, who, verb = path.split("/")
    meta = body["Pod"]["metadata"]
    pod = f"{who}/{meta['namespace']}/{meta['name']}"
    dice = crc32(pod.encode())
    if (who == "moody" and dice % 3 == 0) or (who == "strict" and dice % 29 == 0):
        return BROKEN, "broken"
    if who == "strict" and dice % 31 == 0:
        return 200, {"Error": "the extender has no opinion"} if verb == "filter" else []
    whole = body.get("Nodes")
    names: list[str] = (
        [node["metadata"]["name"] for node in whole["items"]] if whole is not None else body["NodeNames"]
    )
    draws = {name: crc32(f"{pod}/{name}".encode()) for name in names}
    if verb == "prioritize":
        return 200, [{"Host": name, "Score": draw % 11} for name, draw in draws.items()]
    severe = dice % 5 == 0  # now and then few nodes are left, or none
    failed = {name: REASONS[draw % 3] for name, draw in draws.items() if severe or draw % 4 == 0}
    final = {name: "never here" for name, draw in draws.items() if draw % 13 == 0}
    kept = [name for name in names if name not in failed and name not in final]
    found: JsonObject = {"FailedNodes": failed, "FailedAndUnresolvableNodes": final}
    return 200, {**found, "NodeNames": kept}


def answered(ask: Ask) -> Answer:
    """What our side is told: the same, without a wire."""
    status, found = answer_to(urlsplit(ask.url).path, orjson.loads(ask.body))
    return Answer(status=status, body=orjson.dumps(found))


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the name is http.server's
        body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, found = answer_to(self.path, body)
        text = orjson.dumps(found)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is http.server's
        """Say nothing."""


@contextmanager
def served() -> Generator[str]:
    """The extenders on loopback; yields their URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, name="extenders", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
