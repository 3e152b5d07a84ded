"""Random schedules before robfig/cron, which Kubernetes uses, and before ours: the same moments and refusals.

The original is a Go program of a few lines beside this file, built from Go's module cache and kept in
Nestling's; nothing is downloaded. NESTLING_CRON_CASES sets how many schedules, NESTLING_CRON_SEED where to
start. Left out are zones whose clocks change by half an hour or at midnight: there the original misses days
that exist (Sundays of a month in Lord Howe, a Friday in Cairo), and we do not follow it.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import pytest

from nestling.api.schedule import Unparseable, parse
from nestling.host.paths import cache_home

pytestmark = pytest.mark.differential

SOURCE: Final = Path(__file__).parent / "cron_schedule" / "main.go"
MODULE: Final = ("github.com/robfig/cron/v3", "v3.0.1")  # as Kubernetes 1.37 requires it
CASES: Final = int(os.environ.get("NESTLING_CRON_CASES", "2000"))
SEED: Final = int(os.environ.get("NESTLING_CRON_SEED", "1"))
ZONES: Final = (
    "",
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Asia/Tokyo",
)
# Plain days, and days just before clocks change in Europe and America.
STARTS: Final = (1_700_000_000, 1_711_846_000, 1_729_990_000, 1_741_500_000, 1_762_060_000)
SPECIAL: Final = (
    "@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@every 90s", "@every 1.5h", "@every 300ms",
    "30 2 * * *", "30 1 * * *", "0 */3 * * *", "15 1,2,3 * * *", "59 23 31 2 *", "0 0 29 2 *", "0 0 13 * 5",
    "0 0 */2 * 1", "0 0 ? * 1", "1 2 3 jan-MAR mon-fri", "0 0 * * 1/2", "5-1 * * * *", "60 * * * *",
    "* * 0 * *", "* * * * 7", "*/0 * * * *", "@every x", "@fortnightly", "* * *",
)  # fmt: skip


@pytest.fixture(scope="module")
def original() -> Path:
    """The original's program; skips where Go or the module is not at hand."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no go in PATH")
    home = cache_home() / "differential" / hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    program = home / "cron-schedule"
    if not program.exists():
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE, home / "main.go")
        (home / "go.mod").write_text(f"module judge\n\ngo 1.22\n\nrequire {' '.join(MODULE)}\n")
        env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GONOSUMDB": "*"}
        built = subprocess.run(
            [go, "build", "-o", program, "."], cwd=home, env=env, capture_output=True, text=True, check=False
        )
        if built.returncode != 0:
            pytest.skip(f"cannot build the original from Go's cache: {built.stderr[-500:]}")
    return program


def a_field(random: Random, least: int, most: int) -> str:
    """One field that can be read."""

    def number() -> int:
        return random.randint(least, most)

    low, high = sorted((number(), number()))
    return random.choice(
        [
            "*", "*", "*", "?", str(number()), str(number()), f"*/{random.randint(1, most)}",
            f"{number()}/{random.randint(1, 7)}", f"{low}-{high}", f"{low}-{high}/{random.randint(1, 5)}",
            f"{number()},{number()},{number()}", f"{low}-{high},{number()}",
        ]
    )  # fmt: skip


def questions() -> list[dict[str, Any]]:
    """What both sides are asked."""
    random = Random(SEED)
    fields = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    drawn = [" ".join(a_field(random, *bounds) for bounds in fields) for _ in range(CASES)]
    found = [
        {
            "Schedule": schedule,
            "Zone": random.choice(ZONES),
            "After": random.choice(STARTS) + random.randint(0, 400_000),
            "Count": 6,
        }
        for schedule in drawn
    ]
    return found + [
        {"Schedule": schedule, "Zone": zone, "After": after, "Count": 8}
        for schedule in SPECIAL
        for zone in ZONES
        for after in STARTS
    ]


def ours(asked: dict[str, Any]) -> list[int] | str:
    """Our answer to one question."""
    try:
        schedule = parse(asked["Schedule"], asked["Zone"])
    except Unparseable as error:
        return str(error)
    moments: list[int] = []
    moment: float | None = asked["After"]
    while moment is not None and len(moments) < asked["Count"]:
        moment = schedule.next(moment)
        if moment is not None:
            moments.append(int(moment))
    return moments


def test_schedules_have_the_moments_of_the_original(original: Path) -> None:
    asked = questions()
    answered = subprocess.run([original], input=orjson.dumps(asked), capture_output=True, check=True)
    different = [
        f"{one}: {theirs} there, {mine} here"
        for one, theirs in zip(asked, orjson.loads(answered.stdout), strict=True)
        if (mine := ours(one)) != theirs
    ]
    assert not different, f"{len(different)} of {len(asked)} from seed {SEED}: " + "\n".join(different[:5])
