"""Our canonical spelling of a quantity is the one a real API server answers with."""

import pytest

from nestling.api import quantity
from realhost import RealHost

pytestmark = pytest.mark.integration

TEXTS = """
0 -0 0Gi 1 +1 1. .5 0.5 1.5 1.500 01 001.5 1000 +1000 1024 1500 1000m 1500m 999m 1000000u 1n 0.1n 1.0000000001
2000k 1Ki 0.5Ki 0.1Ki 1023Ki 1024Ki 1.5Ki 1.0001Ki 1000Ki 8Ki 7Ki 1024Mi 1.5Gi 2048Pi 1Ei 7Ei 8Ei 100Ei
1k 1.5k 1E 9E 10E 100E 1E3 1000E0 1e3 1e2 1e1 100e3 1500e3 5e-1 1e-3 1e-9 1e-12 1e18 1e19 12345678901234567890
123456789.123456789 123456789012345678 1234567890123456789 0.000000001Gi
1K 1Mib 1kB 1e 1e1.5 1_000 0x10 1,5 NaN
"""


def test_spelling(local_host: RealHost) -> None:
    seen: dict[str, str | None] = {}
    ours: dict[str, str | None] = {}
    for text in TEXTS.split():
        claim = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "spelling"},
            "spec": {
                "containers": [{"name": "main", "image": "nginx"}],
                "volumes": [{"name": "a", "emptyDir": {"sizeLimit": text}}],
            },
        }
        status, answer = local_host.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", claim)
        assert status in {201, 400}, answer
        seen[text] = answer["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] if status == 201 else None
        ours[text] = quantity.canonical(text) if quantity.is_quantity(text) else None
    assert ours == seen
    assert sum(spelling is None for spelling in seen.values()) == 9  # the last line
