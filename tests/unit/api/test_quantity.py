"""Quantities keep their exact value and are written the one way Kubernetes writes them."""

import re
from fractions import Fraction

import pytest

from nestling.api import quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("0", 0, id="zero"),
        pytest.param("-0", 0, id="negative zero"),
        pytest.param("1", 1, id="one"),
        pytest.param("+1", 1, id="signed"),
        pytest.param(".5", Fraction(1, 2), id="no leading digit"),
        pytest.param("5.", 5, id="no trailing digit"),
        pytest.param("100m", Fraction(1, 10), id="milli"),
        pytest.param("1u", Fraction(1, 10**6), id="micro"),
        pytest.param("1n", Fraction(1, 10**9), id="nano"),
        pytest.param("0.1n", Fraction(1, 10**9), id="below a nano rounds up"),
        pytest.param("-0.1n", Fraction(-1, 10**9), id="below a nano rounds away from zero"),
        pytest.param("1k", 1000, id="kilo"),
        pytest.param("1Ki", 1024, id="kibi"),
        pytest.param("0.1Ki", Fraction(1024, 10), id="fraction of a kibi is exact"),
        pytest.param("1.5Gi", 3 * 2**29, id="gibi"),
        pytest.param("1E", 10**18, id="exa, not an exponent"),
        pytest.param("1E2", 100, id="upper-case exponent"),
        pytest.param("1e3", 1000, id="exponent"),
        pytest.param("5e-1", Fraction(1, 2), id="negative exponent"),
        pytest.param("1e19", 10**19, id="a large exponent"),
        pytest.param("1e-9999", Fraction(1, 10**9), id="tiny exponent is one nano"),
        pytest.param("100E", 10**20, id="decimals have no cap"),
        pytest.param("100Ei", 2**63 - 1, id="over the cap"),
        pytest.param("-100Ei", -(2**63 - 1), id="under the cap"),
        pytest.param(2, 2, id="JSON integer"),
        pytest.param(0.5, Fraction(1, 2), id="JSON float"),
        pytest.param(1e-7, Fraction(1, 10**7), id="JSON float in exponent form"),
    ],
)
def test_value_is_exact(text: str | float, value: Fraction | int) -> None:
    assert quantity.parse(text) == value
    assert re.fullmatch(quantity.PATTERN, str(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 ",
        " 1",
        "1 Gi",
        "Gi",
        "-",
        ".",
        "1.2.3",
        "1kB",
        "1gi",
        "1K",
        "1Mib",
        "0x10",
        "1e",
        "1e1.5",
        "1_000",
        "٣",
        "NaN",
        "1\n",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    assert not quantity.is_quantity(text)
    assert not re.fullmatch(quantity.PATTERN, text)
    with pytest.raises(ValueError, match="not a quantity"):
        quantity.parse(text)


@pytest.mark.parametrize("thing", [True, None, float("inf"), float("nan"), [], {}])
def test_other_types_are_refused(thing: object) -> None:
    assert not quantity.is_quantity(thing)


@pytest.mark.parametrize(
    ("text", "milli", "whole"),
    [
        pytest.param("1", 1000, 1, id="whole"),
        pytest.param("250m", 250, 1, id="part of one rounds up"),
        pytest.param("1u", 1, 1, id="a trace counts"),
        pytest.param("-1500m", -1500, -2, id="negative rounds away from zero"),
        pytest.param("0", 0, 0, id="zero stays zero"),
        pytest.param("1.0001", 1001, 2, id="just above"),
        pytest.param("10E", 2**63 - 1, 2**63 - 1, id="beyond 64 bits"),
        pytest.param("-10E", -(2**63 - 1), -(2**63 - 1), id="below 64 bits"),
        pytest.param("64Mi", 64 * 2**20 * 1000, 64 * 2**20, id="memory"),
    ],
)
def test_integer_forms_round_up(text: str, milli: int, whole: int) -> None:
    assert (quantity.milli(text), quantity.whole(text)) == (milli, whole)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", "0"),
        ("0Gi", "0"),
        ("0.5", "500m"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("1000m", "1"),
        ("2.5k", "2500"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000Ki", "1000Ki"),
        ("0.5Ki", "512"),
        ("1023Ki", "1023Ki"),
        ("1.0001Ki", "1024102400u"),
        ("1E3", "1E3"),
        ("1000E0", "1e3"),
        ("+1", "+1"),
        ("+1000", "1k"),
        ("1.", "1."),
        ("1.500", "1.500"),
        ("1.5", "1500m"),
        ("8Ki", "8Ki"),
        ("12345678901234567890", "12345678901234567890"),
        ("123456789.123456789", "123456789.123456789"),
        ("100e3", "100e3"),
        ("1e2", "100"),
        ("1e-3", "1e-3"),
        ("-1024Ki", "-1Mi"),
        (4, "4"),
    ],
)
def test_canonical_form(text: str | int, written: str) -> None:
    assert quantity.canonical(text) == written
    assert quantity.parse(written) == quantity.parse(text)


def test_counts_of_thousandths_are_written_as_cpu() -> None:
    assert [quantity.format_milli(n) for n in (0, 1, 1500, 2000, 32_000)] == ["0", "1m", "1500m", "2", "32"]
