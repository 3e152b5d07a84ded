"""Read and write resource quantities ("500m", "1.5Gi", "2e3") without losing a digit.

Text or JSON number in, exact fractions or whole numbers out. Loops ask for the same few texts again and
again, so the integer forms are remembered. Nothing here knows pydantic or what the resource is.
Source: Kubernetes 1.37, k8s.io/apimachinery/pkg/api/resource (quantity.go, suffix.go).
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final, TypeAlias

Text: TypeAlias = str | int | float

PATTERN: Final = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,4})?$"
"""What a quantity looks like, in syntax that Go shares: the schemas of the CRDs carry it too."""

_GRAMMAR: Final = re.compile(PATTERN.removesuffix("$") + r"\Z", re.ASCII)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_NANO: Final = 10**9
_LARGEST: Final = 2**63 - 1
_LARGEST_EXPONENT: Final = 40  # beyond it a number is over the cap or under one nano: no need to compute it


def parse(text: Text) -> Fraction:
    """The exact value of a quantity, as Kubernetes would keep it.

    Finer than a billionth rounds away from zero, and beyond 2^63-1 stays at 2^63-1. Raises ValueError for
    anything that is not a quantity; a bool is none.
    """
    number, suffix = _split(text)
    if suffix.endswith("i"):
        value = number * 1024 ** _BINARY.index(suffix)
    else:
        value = number * Fraction(10) ** _exponent_of(suffix)
    value = Fraction(_away_from_zero(value * _NANO), _NANO)
    return max(min(value, Fraction(_LARGEST)), Fraction(-_LARGEST))


@lru_cache(maxsize=8192)
def milli(text: Text) -> int:
    """Thousandths, rounded up (away from zero): `milli("0.1")` is 100. The unit loops count CPU in."""
    return _away_from_zero(parse(text) * 1000)


@lru_cache(maxsize=8192)
def whole(text: Text) -> int:
    """Whole units, rounded up (away from zero): `whole("1Ki")` is 1024. The unit for all but CPU."""
    return _away_from_zero(parse(text))


def is_quantity(text: object) -> bool:
    """Whether `text` reads as a quantity."""
    try:
        _split(text)
    except ValueError:
        return False
    return True


def canonical(text: Text) -> str:
    """The one way Kubernetes writes this quantity: no fraction, the largest suffix, the same family of
    suffixes.

    `"0.5"` becomes `"500m"`, `"1024Mi"` becomes `"1Gi"`, `"1000"` becomes `"1k"`, `"1E3"` becomes `"1e3"`.
    """
    _, suffix = _split(text)
    value = parse(text)
    if suffix.endswith("i"):
        return format_binary(value)
    if suffix[:1] in {"e", "E"} and len(suffix) > 1:
        return format_exponent(value)
    return format_decimal(value)


def format_decimal(value: Fraction | int) -> str:
    """Write with the suffixes n, u, m, k, M, G, T, P, E."""
    mantissa, exponent = _thousands(value)
    return f"{mantissa}{_DECIMAL_SUFFIX[exponent]}"


def format_exponent(value: Fraction | int) -> str:
    """Write with an exponent that is a multiple of three: `1500e3`."""
    mantissa, exponent = _thousands(value)
    return f"{mantissa}e{exponent}" if exponent else f"{mantissa}"


def format_binary(value: Fraction | int) -> str:
    """Write with Ki to Ei; small numbers and fractions fall back to decimal suffixes, as upstream does."""
    exact = Fraction(value)
    if -1024 < exact < 1024 or exact.denominator != 1:
        return format_decimal(exact)
    mantissa, step = exact.numerator, 0
    while mantissa % 1024 == 0 and step < len(_BINARY) - 1:
        mantissa //= 1024
        step += 1
    return f"{mantissa}{_BINARY[step]}"


def format_milli(thousandths: int) -> str:
    """Write a count of thousandths: 1500 is `"1500m"`, 2000 is `"2"`."""
    return format_decimal(Fraction(thousandths, 1000))


def _split(text: object) -> tuple[Fraction, str]:
    """The signed number and the suffix of a quantity."""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ValueError(f"not a quantity: {text!r}")
    if isinstance(text, int):
        return Fraction(text), ""
    match = _GRAMMAR.match(text if isinstance(text, str) else repr(text))
    if match is None:
        raise ValueError(f"not a quantity: {text!r}")
    suffix = match[3] or ""
    number = match[0][: len(match[0]) - len(suffix)]
    return Fraction(number.removesuffix(".")), suffix


def _exponent_of(suffix: str) -> int:
    """The power of ten a decimal suffix stands for; a bare `E` is exa, `E2` is an exponent."""
    if suffix in _DECIMAL:
        return _DECIMAL[suffix]
    return max(min(int(suffix[1:]), _LARGEST_EXPONENT), -_LARGEST_EXPONENT)


def _thousands(value: Fraction | int) -> tuple[int, int]:
    """`value` as a whole mantissa and the largest power of ten in -9, -6 ... 18 that leaves it whole."""
    nanos = _away_from_zero(Fraction(value) * _NANO)
    exponent = -9
    if nanos == 0:
        return 0, 0
    while nanos % 1000 == 0 and exponent < 18:
        nanos //= 1000
        exponent += 3
    return nanos, exponent


def _away_from_zero(value: Fraction) -> int:
    whole_part, rest = divmod(abs(value.numerator), value.denominator)
    magnitude = whole_part + (rest > 0)
    return magnitude if value >= 0 else -magnitude
