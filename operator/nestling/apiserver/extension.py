"""The functions that Kubernetes adds to CEL: quantities, addresses, URLs, expressions, lists, named formats.

A quantity travels through CEL as a small map, an address as its text; whoever compares or computes with them
takes them apart again. A function raises ValueError for an argument it cannot read, which makes the rule
fail.
Source: Kubernetes 1.37, k8s.io/apiserver/pkg/cel/library.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

from cel import OptionalValue
from cel.stdlib import STDLIB_FUNCTIONS

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


_address: Final = ipaddress.ip_address
_LINK_LOCAL_MULTICAST: Final = {
    4: ipaddress.ip_network("224.0.0.0/24"),
    6: ipaddress.ip_network("ff02::/16"),
}


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
    return all(left <= right for left, right in pairwise(items))


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


DNS1035_TEXT: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character"
)


def _dns1035(text: str) -> list[str]:
    good = len(text) <= 63 and re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", text)
    return [] if good else [DNS1035_TEXT]


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
        def form(_format: Any) -> dict[str, str]:
            return {_FORMAT: name}

        return form

    return {name: of(name) for name in _FORMATS}


def _is_integer(value: Any) -> bool:
    return _amount(value).denominator == 1


def _as_float(value: Any) -> float:
    return float(_amount(value))


def _add(left: Any, right: Any) -> dict[str, str]:
    return _wrapped(_amount(left) + _amount(right))


def _sub(left: Any, right: Any) -> dict[str, str]:
    return _wrapped(_amount(left) - _amount(right))


def _is_greater(left: Any, right: Any) -> bool:
    return _compare(left, right) > 0


def _is_less(left: Any, right: Any) -> bool:
    return _compare(left, right) < 0


def _is_canonical(text: str) -> bool:
    return str(_address(text)) == text


def _family(text: str) -> int:
    return _address(text).version


def _is_unspecified(text: str) -> bool:
    return _address(text).is_unspecified


def _is_loopback(text: str) -> bool:
    return _address(text).is_loopback


def _is_link_local_multicast(text: str) -> bool:
    address = _address(text)
    return address in _LINK_LOCAL_MULTICAST[address.version]


def _is_link_local_unicast(text: str) -> bool:
    return _address(text).is_link_local


def _is_global_unicast(text: str) -> bool:
    address = _address(text)
    return not (
        address.is_loopback or address.is_multicast or address.is_link_local or address.is_unspecified
    )


def _contains_ip(outer: str, inner: str) -> bool:
    return _address(inner) in _network(outer)


def _masked(text: str) -> str:
    return str(_network(text))


def _prefix_length(text: str) -> int:
    return _network(text).prefixlen


def _scheme(text: str) -> str:
    return urlsplit(text).scheme


def _host(text: str) -> str:
    return urlsplit(text).netloc.rpartition("@")[2]


def _hostname(text: str) -> str:
    return urlsplit(text).hostname or ""


def _path(text: str) -> str:
    return urlsplit(text).path


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    **{
        name.rpartition(".")[2]: function for name, function in STDLIB_FUNCTIONS.items() if name != "contains"
    },
    **_named_formats(),
    "quantity": _quantity,
    "isQuantity": quantities.is_quantity,
    "sign": _sign,
    "isInteger": _is_integer,
    "asInteger": _as_integer,
    "asApproximateFloat": _as_float,
    "add": _add,
    "sub": _sub,
    "isGreaterThan": _is_greater,
    "isLessThan": _is_less,
    "compareTo": _compare,
    "ip": _ip,
    "isIP": _is(_address),
    "isCanonical": _is_canonical,
    "family": _family,
    "isUnspecified": _is_unspecified,
    "isLoopback": _is_loopback,
    "isLinkLocalMulticast": _is_link_local_multicast,
    "isLinkLocalUnicast": _is_link_local_unicast,
    "isGlobalUnicast": _is_global_unicast,
    "cidr": _cidr,
    "isCIDR": _is(_network),
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "masked": _masked,
    "prefixLength": _prefix_length,
    "url": _url,
    "isURL": _is(_url),
    "getScheme": _scheme,
    "getHost": _host,
    "getHostname": _hostname,
    "getPort": _port,
    "getEscapedPath": _path,
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
        *("size", "contains", "startsWith", "endsWith", "matches", "has", "type", "dyn", "max", "min"),
        *("int", "uint", "double", "string", "bytes", "bool", "duration", "timestamp"),
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
        *("hasValue", "value", "orValue", "or", "of", "none", "optMap", "optFlatMap"),
    }
)
"""Functions that the library itself has."""
