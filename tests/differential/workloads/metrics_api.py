"""The resource metrics API of the real side, which natively metrics-server serves from what kubelets measure.

KWOK's pods do no work, so their usage is read off the same annotations as on our side. The API server finds
this process through a Service that is a mere name for loopback.
Source: Kubernetes 1.37, k8s.io/metrics/pkg/apis/metrics/v1beta1.
"""

import datetime as dt
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.test_utils import TestServer

from nestling.api.json import JsonObject
from nestling.api.kinds import Kind
from nestling.controllers.autoscaler.demand import SAMPLE_WINDOW_S
from nestling.host import pki
from nestling.kubelet.usage import usage_of
from nestling.machinery.client import Client
from nestling.machinery.clock import timestamp

GROUP: Final = "metrics.k8s.io"
VERSION: Final = "v1beta1"
PLACE: Final = "default"
NAME: Final = "usage"
_ROOT: Final = f"/apis/{GROUP}/{VERSION}"
_POD: Final = Kind("Pod", "pods", group="", version="v1")
_SERVICE: Final = Kind("Service", "services", group="", version="v1")
_API_SERVICE: Final = Kind(
    "APIService", "apiservices", group="apiregistration.k8s.io", version="v1", scoped=False
)


@asynccontextmanager
async def metrics_api(client: Client, folder: Path) -> AsyncGenerator[None]:
    """Serve what pods use, and have the API server pass such questions on; certificates go into `folder`."""
    now = dt.datetime.now(dt.UTC)
    cert, key = pki.leaf(pki.authority(folder, "metrics", now), folder, "metrics", now, hosts=["localhost"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    server = TestServer(_application(client), scheme="https")
    await server.start_server(ssl=context)
    try:
        await _announce(client, server.port or 0)
        yield
    finally:
        await client.call("DELETE", _API_SERVICE.path(None, f"{VERSION}.{GROUP}"))
        await server.close()


async def _announce(client: Client, port: int) -> None:
    service: JsonObject = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    }
    await client.call("POST", _SERVICE.path(PLACE), body=service)
    spec: JsonObject = {
        "group": GROUP,
        "version": VERSION,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"name": NAME, "namespace": PLACE, "port": port},
    }
    body: JsonObject = {
        "apiVersion": _API_SERVICE.api_version,
        "kind": _API_SERVICE.name,
        "metadata": {"name": f"{VERSION}.{GROUP}"},
        "spec": spec,
    }
    await client.call("POST", _API_SERVICE.path(), body=body)


def _application(client: Client) -> web.Application:
    async def resources(_request: web.Request) -> web.Response:
        pods = {
            "name": "pods",
            "singularName": "",
            "namespaced": True,
            "kind": "PodMetrics",
            "verbs": ["list"],
        }
        return web.json_response(
            {
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": f"{GROUP}/{VERSION}",
                "resources": [pods],
            }
        )

    async def pods(request: web.Request) -> web.Response:
        path = _POD.path(request.match_info["namespace"])
        selector = request.query.get("labelSelector", "")
        found = await client.call("GET", path, query={"labelSelector": selector})
        items = [metrics for pod in found["items"] if (metrics := pod_metrics(pod, time.time()))]
        kind = {"kind": "PodMetricsList", "apiVersion": f"{GROUP}/{VERSION}"}
        return web.json_response({**kind, "metadata": {}, "items": items})

    app = web.Application()
    app.router.add_get(_ROOT, resources)
    app.router.add_get(f"{_ROOT}/namespaces/{{namespace}}/pods", pods)
    return app


def pod_metrics(pod: JsonObject, now: float) -> JsonObject | None:
    """One pod's PodMetrics; None while nothing of it runs."""
    used = usage_of(pod, now)
    if not used:
        return None
    containers = [
        {"name": name, "usage": {"cpu": f"{amounts['cpu']}m", "memory": str(amounts["memory"] // 1000)}}
        for name, amounts in used.items()
    ]
    meta = {name: pod["metadata"].get(name) for name in ("name", "namespace", "labels")}
    return {
        "metadata": meta,
        "timestamp": timestamp(now),
        "window": f"{SAMPLE_WINDOW_S:.0f}s",
        "containers": containers,
    }
