"""Series of Services.

Source: kube-state-metrics 2.x, internal/store/service.go.
"""

from typing import Final

from nestling.api.json import JsonObject
from nestling.machinery.records.service import Service
from nestling.monitoring.kube_state.family import Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import labels_family

IDENTITY: Final = ("cluster", "namespace", "service", "uid")


def _family(name: str, text: str, labels: tuple[str, ...] = ()) -> Family:
    return Family(f"kube_service_{name}", text, IDENTITY, labels)


INFO: Final = _family(
    "info",
    "Addresses of a Service; always 1.",
    ("cluster_ip", "external_name", "external_traffic_policy", "load_balancer_ip"),
)
CREATED: Final = _family("created", "When a Service was created (Unix time).")
LABELS: Final = labels_family("service", IDENTITY)
TYPE: Final = _family("spec_type", "Type of a Service; always 1.", ("type",))
EXTERNAL_IP: Final = _family("spec_external_ip", "External addresses of a Service.", ("external_ip",))
INGRESS: Final = _family(
    "status_load_balancer_ingress", "Addresses of a Service's load balancer.", ("ip", "hostname")
)


def write(service: Service, page: Page) -> None:
    """All series of one Service."""
    key = service.key
    who = identity_of(IDENTITY, key.cluster, key.namespace, key.name, service.uid)
    body = service.body
    spec: JsonObject = body.get("spec") or {}
    fields = ("clusterIP", "externalName", "externalTrafficPolicy", "loadBalancerIP")
    page[INFO].add(who, 1, *(spec.get(field) or "" for field in fields))
    page[CREATED].add(who, int(service.created_at))
    page[TYPE].add(who, 1, service.type)
    for address in spec.get("externalIPs") or ():
        page[EXTERNAL_IP].add(who, 1, address)
    balancer: JsonObject = (body.get("status") or {}).get("loadBalancer") or {}
    for ingress in balancer.get("ingress") or ():
        page[INGRESS].add(who, 1, ingress.get("ip") or "", ingress.get("hostname") or "")


EXPORTER: Final = Exporter(Service, (INFO, CREATED, LABELS, TYPE, EXTERNAL_IP, INGRESS), write)
