"""Profiles of the property tests, and quiet logs.

`dev` for the hand, `steady` as many and the same every time, `ci` more of those, `hunt` for a coffee, `soak`
for nights; chosen by HYPOTHESIS_PROFILE.
"""

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings

# An example is a whole life of a cluster: some are slow, and on a busy machine all of them.
# Shrinking one takes minutes, so only nights do it: elsewhere the example is printed as it was found.
COMMON = settings(
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("dev", COMMON, max_examples=8)
settings.register_profile("steady", COMMON, max_examples=8, derandomize=True, database=None)
settings.register_profile("ci", COMMON, max_examples=60, derandomize=True, database=None)
settings.register_profile("hunt", COMMON, max_examples=200)
settings.register_profile("soak", COMMON, max_examples=2000, phases=list(Phase))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(scope="module", autouse=True)
def quiet_logs() -> Iterator[None]:
    """Only errors are printed: formatting a line for every plan took half the time of a run."""
    configured = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.configure(**configured)
