"""The functions that Kubernetes adds to CEL: quantities, addresses, URLs, regular expressions, lists, named formats.

A quantity travels through CEL as a small map, an address as its text; whoever compares or computes with them takes
them apart again. A function raises ValueError for an argument it cannot read, which makes the rule fail.
Source: Kubernetes 1.37, k8s.io/apiserver/pkg/cel/library.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final
from urllib.parse import urlsplit

from cel import OptionalValue
from cel.stdlib import STDLIB_FUNCTIONS as STDLIB_FUNCTIONS

from nestling.api import quantity as quantities
from nestling.apiserver import formats, metadata

_QUANTITY: Final = "$quantity"
_FORMAT: Final = "$format"


def _quantity(text: Any) -> dict[str, str]:
    return {_QUANTITY: str(quantities.parse(text))}


def _amount(value: Any) -> Fraction:
    if isinstance(value, dict):
        return Fraction(value[_QUANTITY])
    return Fraction(value)


def _compare(left: Any, right: Any) -> int:
    a, b = _amount(left), _amount(right)
    return (a > b) - (a < b)


def _wrapped(amount: Fraction) -> dict[str, str]:
    return {_QUANTITY: str(amount)}


def _sign(value: Any) -> int:
    amount = _amount(value)
    return (amount > 0) - (amount < 0)


def _as_integer(value: Any) -> int:
    amount = _amount(value)
    if amount.denominator != 1 or not -(2**63) <= amount < 2**63:
        raise ValueError("cannot convert value to integer")
    return int(amount)


def _is(parse: Callable[[str], object]) -> Callable[[Any], bool]:
    def check(text: Any) -> bool:
        try:
            parse(str(text))
        except ValueError:
            return False
        return True

    return check


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if "/" not in text:
        raise ValueError(f"{text!r} has no prefix length")
    return ipaddress.ip_network(text, strict=False)


def _ip(text: str) -> str:
    """`ip("10.0.0.1")`, and `cidr("10.0.0.1/8").ip()`."""
    return str(ipaddress.ip_address(text.partition("/")[0]))


def _cidr(text: str) -> str:
    _network(text)
    return text


def _contains_cidr(outer: str, inner: str) -> bool:
    wide, narrow = _network(outer), _network(inner)
    return wide.version == narrow.version and narrow.subnet_of(wide)  # type: ignore[arg-type] # same version, just checked


def _url(text: str) -> str:
    if not urlsplit(text).scheme and not text.startswith("/"):
        raise ValueError(f"{text!r} is not a URL")
    return text


def _port(text: str) -> str:
    port = urlsplit(text).port
    return "" if port is None else str(port)


def _query(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in urlsplit(text).query.split("&"):
        key, _, value = pair.partition("=")
        if key:
            found.setdefault(key, []).append(value)
    return found


def _find(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    return match.group(0) if match else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match.group(0) for match in re.finditer(pattern, text)]
    return found if limit < 0 else found[:limit]


def _is_sorted(items: list[Any]) -> bool:
    return all(left <= right for left, right in zip(items, items[1:], strict=False))


def _index_of(where: Any, what: Any, *start: int) -> int:
    if isinstance(where, str):
        return where.find(what, *start)
    return next((index for index, item in enumerate(where) if item == what), -1)


def _last_index_of(where: Any, what: Any, *end: int) -> int:
    if isinstance(where, str):
        return where.rfind(what, 0, end[0] + len(what)) if end else where.rfind(what)
    return next((index for index in range(len(where) - 1, -1, -1) if where[index] == what), -1)


def _complaints_of_generated(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    return lambda text: check(f"{text[:-1]}a" if text.endswith("-") else text)


def _dns1035(text: str) -> list[str]:
    good = len(text) <= 63 and re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", text)
    return [] if good else ["a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                            "alphabetic character, and end with an alphanumeric character"]  # fmt: skip


def _by_format(name: str) -> Callable[[str], list[str]]:
    def check(text: str) -> list[str]:
        return [] if formats.CHECKS[name](text) else [f"invalid {name}"]

    return check


_FORMATS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "dns1123Label": metadata.label,
    "dns1123Subdomain": metadata.subdomain,
    "dns1035Label": _dns1035,
    "qualifiedName": metadata.qualified_name,
    "labelValue": metadata.label_value,
    "dns1123LabelPrefix": _complaints_of_generated(metadata.label),
    "dns1123SubdomainPrefix": _complaints_of_generated(metadata.subdomain),
    "dns1035LabelPrefix": _complaints_of_generated(_dns1035),
    "uri": _by_format("uri"),
    "uuid": _by_format("uuid"),
    "byte": _by_format("byte"),
    "date": _by_format("date"),
    "datetime": _by_format("datetime"),
}


def _named(_format: Any, name: str) -> OptionalValue:
    return OptionalValue.of({_FORMAT: name}) if name in _FORMATS else OptionalValue.none()


def _validate(form: Any, text: str) -> OptionalValue:
    complaints = _FORMATS[form[_FORMAT]](text)
    return OptionalValue.of(complaints) if complaints else OptionalValue.none()


_VERB: Final = re.compile(r"%(?:\.(\d+))?([sdfexXob%])")


def _format_text(template: str, values: list[Any]) -> str:
    given = iter(values)

    def fill(match: re.Match[str]) -> str:
        precision, verb = match.groups()
        if verb == "%":
            return "%"
        value = next(given)
        match verb:
            case "s":
                if isinstance(value, bool):
                    return "true" if value else "false"
                return str(value)
            case "d":
                return str(int(value))
            case "f" | "e":
                return f"{value:.{precision or 6}{verb}}"
            case _:
                return format(int(value), verb)

    return _VERB.sub(fill, template)


def _named_formats() -> dict[str, Callable[..., Any]]:
    def of(name: str) -> Callable[..., Any]:
        return lambda _format: {_FORMAT: name}

    return {name: of(name) for name in _FORMATS}


_ADDRESS: Final = ipaddress.ip_address

FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    **{
        name.rpartition(".")[2]: function for name, function in STDLIB_FUNCTIONS.items() if name != "contains"
    },
    **_named_formats(),
    "quantity": _quantity,
    "isQuantity": quantities.is_quantity,
    "sign": _sign,
    "isInteger": lambda value: _amount(value).denominator == 1,
    "asInteger": _as_integer,
    "asApproximateFloat": lambda value: float(_amount(value)),
    "add": lambda left, right: _wrapped(_amount(left) + _amount(right)),
    "sub": lambda left, right: _wrapped(_amount(left) - _amount(right)),
    "isGreaterThan": lambda left, right: _compare(left, right) > 0,
    "isLessThan": lambda left, right: _compare(left, right) < 0,
    "compareTo": _compare,
    "ip": _ip,
    "isIP": _is(_ADDRESS),
    "isCanonical": lambda text: str(_ADDRESS(text)) == text,
    "family": lambda text: _ADDRESS(text).version,
    "isUnspecified": lambda text: _ADDRESS(text).is_unspecified,
    "isLoopback": lambda text: _ADDRESS(text).is_loopback,
    "isLinkLocalMulticast": lambda text: _ADDRESS(text).is_multicast and _ADDRESS(text).is_link_local,
    "isLinkLocalUnicast": lambda text: _ADDRESS(text).is_link_local and not _ADDRESS(text).is_multicast,
    "isGlobalUnicast": lambda text: (
        not (
            _ADDRESS(text).is_loopback
            or _ADDRESS(text).is_multicast
            or _ADDRESS(text).is_link_local
            or _ADDRESS(text).is_unspecified
        )
    ),
    "cidr": _cidr,
    "isCIDR": _is(_network),
    "containsIP": lambda outer, inner: _ADDRESS(inner) in _network(outer),
    "containsCIDR": _contains_cidr,
    "masked": lambda text: str(_network(text)),
    "prefixLength": lambda text: _network(text).prefixlen,
    "url": _url,
    "isURL": _is(_url),
    "getScheme": lambda text: urlsplit(text).scheme,
    "getHost": lambda text: urlsplit(text).netloc.rpartition("@")[2],
    "getHostname": lambda text: urlsplit(text).hostname or "",
    "getPort": _port,
    "getEscapedPath": lambda text: urlsplit(text).path,
    "getQuery": _query,
    "find": _find,
    "findAll": _find_all,
    "isSorted": _is_sorted,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "format": _format_text,
    "named": _named,
    "validate": _validate,
}
"""By the last part of their name, as compiled programs refer to them."""

QUALIFIED: Final = {name.rpartition(".")[2]: name for name in STDLIB_FUNCTIONS if "." in name}
"""Functions that are registered under a longer name, such as `sets.contains`."""

BUILT_IN: Final = frozenset(
    {
        "size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double", "string", "bytes", "bool",
        "type", "dyn", "duration", "timestamp", "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek",
        "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds", "has", "hasValue", "value", "orValue",
        "or", "of", "none", "optMap", "optFlatMap", "max", "min",
    }
)  # fmt: skip
"""Functions that the library itself has."""
