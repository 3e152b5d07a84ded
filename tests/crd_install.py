"""Install the checked-in CRDs on a real API server, and await that they are served."""

import time
from typing import Any

from nestling.api.crds import load_crds
from realhost import RealHost

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def install_crds(host: RealHost, *, within_s: float = 30) -> None:
    """Create what is missing; return when every kind is established and served."""
    for crd in load_crds():
        status, answer = host.request("POST", CRDS, crd)
        assert status == 201 or answer.get("reason") == "AlreadyExists", answer
    deadline = time.monotonic() + within_s
    while waiting := _not_served(host):
        assert time.monotonic() < deadline, waiting
        time.sleep(0.1)


def _not_served(host: RealHost) -> list[str]:
    problems: list[str] = []
    for crd in host.request("GET", CRDS)[1]["items"]:
        plural, group = crd["spec"]["names"]["plural"], crd["spec"]["group"]
        conditions = (crd.get("status") or {}).get("conditions") or [{"type": "none yet", "status": ""}]
        wrong = [condition for condition in conditions if not _fine(condition)]
        version = crd["spec"]["versions"][0]["name"]
        served = host.request("GET", f"/apis/{group}/{version}/{plural}?limit=1")[0] == 200
        if wrong or not served:
            problems.append(f"{plural}: {wrong or 'not served yet'}")
    return problems


def _fine(condition: dict[str, Any]) -> bool:
    return condition["type"] in {"Established", "NamesAccepted"} and condition["status"] == "True"
