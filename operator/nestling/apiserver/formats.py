"""The string formats that a CRD may ask for, as kube-apiserver understands them.

A format that is not in `CHECKS` is documentation only, as upstream.
Source: Kubernetes 1.37, k8s.io/apiextensions-apiserver/pkg/apiserver/validation/formats.go and kube-openapi's
strfmt.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

_DURATION: Final = re.compile(
    r"[-+]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+|[-+]?0", re.ASCII
)
_LONG_DURATION: Final = re.compile(
    r"(?:[0-9]+\s*(?:nanoseconds?|ns|microseconds?|us|milliseconds?|ms|seconds?|sec|s|minutes?|min|m|hours?|hr?|h"
    r"|days?|d|weeks?|wk?|w)\s*)+",
    re.ASCII,
)
_DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_HOSTNAME: Final = re.compile(
    r"[a-zA-Z](?:[-0-9a-zA-Z]+[0-9a-zA-Z])?(?:\.[0-9a-zA-Z](?:[-0-9a-zA-Z]+[0-9a-zA-Z])?)*", re.ASCII
)
_MAC: Final = re.compile(r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_COLOR: Final = re.compile(r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?", re.ASCII)


def _attempt(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def is_date_time(text: str) -> bool:
    """RFC 3339, with the small freedoms that upstream allows."""
    if not _DATE_TIME.fullmatch(text):
        return False
    return _attempt(lambda value: datetime.fromisoformat(value.upper().replace(" ", "T")))(text)


def is_duration(text: str) -> bool:
    """Go's `1h30m`, or the long form `2 days`."""
    return bool(_DURATION.fullmatch(text) or _LONG_DURATION.fullmatch(text))


def is_subdomain(text: str) -> bool:
    """A DNS-1123 subdomain."""
    return 0 < len(text) <= 253 and all(_LABEL.fullmatch(part) for part in text.split("."))


CHECKS: Final[Mapping[str, Callable[[str], bool]]] = {
    "date": _attempt(date.fromisoformat),
    "date-time": is_date_time,
    "datetime": is_date_time,
    "duration": is_duration,
    "byte": _attempt(lambda text: base64.b64decode(text, validate=True)),
    "ipv4": _attempt(ipaddress.IPv4Address),
    "ipv6": _attempt(ipaddress.IPv6Address),
    "cidr": _attempt(
        lambda text: ipaddress.ip_network(text, strict=False) if "/" in text else int("no mask")
    ),
    "uri": lambda text: bool(urlsplit(text).scheme or text.startswith("/")),
    "uuid": _attempt(UUID),
    "uuid3": _attempt(UUID),
    "uuid4": _attempt(UUID),
    "uuid5": _attempt(UUID),
    "hostname": lambda text: len(text) <= 255 and bool(_HOSTNAME.fullmatch(text)),
    "mac": lambda text: bool(_MAC.fullmatch(text)),
    "email": lambda text: bool(_EMAIL.fullmatch(text)),
    "hexcolor": lambda text: bool(_COLOR.fullmatch(text)),
    "k8s-short-name": lambda text: len(text) <= 63 and bool(_LABEL.fullmatch(text)),
    "k8s-long-name": is_subdomain,
}
