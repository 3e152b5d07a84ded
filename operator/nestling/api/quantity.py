"""Read and write resource quantities ("500m", "1.5Gi", "2e3") without losing a digit.

Text or JSON number in, exact fractions or whole numbers out. Loops ask for the same few texts again and
again, so the integer forms are remembered. Nothing here knows pydantic or what the resource is.
Source: Kubernetes 1.37, k8s.io/apimachinery/pkg/api/resource (quantity.go, suffix.go). Unlike it we refuse
texts without a digit ("-", "Gi"), which it reads as 0.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final, TypeAlias

Text: TypeAlias = str | int | float

PATTERN: Final = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,4})?$"
"""What a quantity looks like, in syntax that Go shares: the schemas of the CRDs carry it too."""

_GRAMMAR: Final = re.compile(
    r"(?P<sign>[+-]?)(?=\.?[0-9])(?P<digits>[0-9]*)(?:\.(?P<decimals>[0-9]*))?"
    r"(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,4}|)",
    re.ASCII,
)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_NANO: Final = 10**9
_LARGEST: Final = 2**63 - 1


def parse(text: Text) -> Fraction:
    """The exact value of a quantity, as Kubernetes would keep it.

    Finer than a billionth rounds away from zero, and with a binary suffix 2^63-1 is the most there is.
    Raises ValueError for anything that is not a quantity; a bool is none.
    """
    match = _read(text)
    number, suffix = _number(match), match["suffix"]
    if suffix.endswith("i"):
        exact = _whole_nanos(number * 1024 ** _BINARY.index(suffix))
        return max(min(exact, Fraction(_LARGEST)), Fraction(-_LARGEST))
    return _whole_nanos(number * Fraction(10) ** _exponent_of(suffix))


@lru_cache(maxsize=8192)
def milli(text: Text) -> int:
    """Thousandths, rounded up (away from zero): `milli("0.1")` is 100. The unit loops count CPU in.

    Fits 64 bits, as arrays need it: what is larger stays at the largest.
    """
    return _in_64_bits(_away_from_zero(parse(text) * 1000))


@lru_cache(maxsize=8192)
def whole(text: Text) -> int:
    """Whole units, rounded up (away from zero): `whole("1Ki")` is 1024. The unit for all but CPU.

    Fits 64 bits, as arrays need it: what is larger stays at the largest.
    """
    return _in_64_bits(_away_from_zero(parse(text)))


def is_quantity(text: object) -> bool:
    """Whether `text` reads as a quantity."""
    try:
        _read(text)
    except ValueError:
        return False
    return True


def canonical(text: Text) -> str:
    """How Kubernetes writes this quantity: no fraction, the largest suffix, the same family of suffixes.

    `"0.5"` becomes `"500m"`, `"1024Mi"` becomes `"1Gi"`, `"1000"` becomes `"1k"`. A text that its quick check
    takes for canonical stays as it is, odd as it may look: `"+1"`, `"1E3"`, `"1.500"`.
    """
    match = _read(text)
    if _is_left_alone(match):
        return match[0]
    suffix = match["suffix"]
    value = parse(text)
    if suffix.endswith("i"):
        return format_binary(value)
    if len(suffix) > 1:
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


@lru_cache(maxsize=2048)
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


@lru_cache(maxsize=2048)  # explanations write the same few amounts again and again
def format_milli(thousandths: int) -> str:
    """Write a count of thousandths: 1500 is `"1500m"`, 2000 is `"2"`."""
    return format_decimal(Fraction(thousandths, 1000))


def _read(text: object) -> re.Match[str]:
    """Sign, digits, decimals and suffix of a quantity."""
    if isinstance(text, str | int | float) and not isinstance(text, bool):
        match = _GRAMMAR.fullmatch(str(text))
        if match is not None:
            return match
    raise ValueError(f"not a quantity: {text!r}")


def _number(match: re.Match[str]) -> Fraction:
    digits, decimals = match["digits"], match["decimals"] or ""
    number = Fraction(int(digits + decimals), 10 ** len(decimals))
    return -number if match["sign"] == "-" else number


def _exponent_of(suffix: str) -> int:
    """The power of ten a decimal suffix stands for; a bare `E` is exa, `E2` is an exponent."""
    return _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])


def _is_left_alone(match: re.Match[str]) -> bool:
    """Whether upstream's quick check keeps the text: few digits, and none to move over to the suffix."""
    digits, decimals = match["digits"].lstrip("0") or "0", match["decimals"] or ""
    suffix = match["suffix"]
    if suffix.endswith("i"):
        power = 10 * _BINARY.index(suffix)
        room = 15 - len(digits) - int(power * 3 / 10) - 1
        return not decimals and room >= 0 and int(digits) % 8 != 0
    shifted, scale = digits + decimals, _exponent_of(suffix) - len(decimals)
    return (
        len(shifted) <= 18
        and scale >= -9
        and scale % 3 == 0
        and not shifted.endswith("000")
        and not shifted.startswith("0")
    )


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


def _whole_nanos(value: Fraction) -> Fraction:
    return Fraction(_away_from_zero(value * _NANO), _NANO)


def _away_from_zero(value: Fraction) -> int:
    whole_part, rest = divmod(abs(value.numerator), value.denominator)
    magnitude = whole_part + (rest > 0)
    return magnitude if value >= 0 else -magnitude


def _in_64_bits(number: int) -> int:
    return max(min(number, _LARGEST), -_LARGEST)
