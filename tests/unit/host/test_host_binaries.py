"""Programs are taken from the first place that has a fitting one, and only by what they say of themselves."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nestling.host import binaries
from nestling.host.binaries import Found, Passed
from nestling.host.errors import HostSetupError

Env = dict[str, str]
Install = Callable[[str, str, str], Path]


@pytest.fixture
def env(tmp_path: Path) -> Env:
    """A machine where KUBEBUILDER_ASSETS, PATH and the cache are three empty directories."""
    for place in ("assets", "bin", "cache"):
        (tmp_path / place).mkdir()
    return {
        "KUBEBUILDER_ASSETS": str(tmp_path / "assets"),
        "PATH": str(tmp_path / "bin"),
        "NESTLING_CACHE": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
    }


@pytest.fixture
def install(tmp_path: Path, env: Env) -> Install:
    """Put a program of a version into `assets`, `bin` or `cache`."""

    def put(place: str, name: str, version: str) -> Path:
        path = binaries.cached(name, env) if place == "cache" else tmp_path / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        says = f"etcd Version: {version[1:]}" if name == "etcd" else f"Kubernetes {version}"
        path.write_text(f"#!/bin/sh\necho '{says}'\n")
        path.chmod(0o755)
        return path

    return put


APISERVER, MANAGER = "kube-apiserver", "kube-controller-manager"


@pytest.mark.parametrize(
    ("places", "source"),
    [
        pytest.param(["assets", "bin", "cache"], "KUBEBUILDER_ASSETS", id="all three"),
        pytest.param(["bin", "cache"], "PATH", id="PATH before cache"),
        pytest.param(["cache"], "cache", id="cache"),
    ],
)
def test_the_first_place_wins(env: Env, install: Install, places: list[str], source: str) -> None:
    for place in places:
        install(place, APISERVER, "v1.37.2")
    found, passed = binaries.find([APISERVER], env=env)
    assert found[APISERVER].source == source
    assert found[APISERVER].version == "v1.37.2"
    assert passed == ()


def test_nothing_anywhere_finds_nothing(env: Env) -> None:
    assert binaries.find([APISERVER, "etcd"], env=env) == ({}, ())


def test_a_file_that_may_not_be_run_is_no_program(env: Env, install: Install) -> None:
    install("bin", APISERVER, "v1.37.2").chmod(0o644)
    assert binaries.find([APISERVER], env=env)[0] == {}


def test_without_its_variables_only_path_and_the_home_directory_are_searched(tmp_path: Path) -> None:
    assert binaries.candidates("etcd", {"HOME": str(tmp_path)}) == []
    assert binaries.cached("etcd", {"HOME": "/home/x"}) == Path(
        "/home/x/.cache/nestling/kubernetes/v1.37.2/etcd"
    )


@pytest.mark.parametrize(
    ("name", "answer", "verdict"),
    [
        pytest.param(APISERVER, "Kubernetes v1.37.9\n", ("v1.37.9", ""), id="another patch is as good"),
        pytest.param(
            APISERVER,
            "Kubernetes v1.35.0\n",
            ("v1.35.0", "/b is v1.35.0; Nestling is tested with v1.37.2"),
            id="another minor is noted",
        ),
        pytest.param(
            APISERVER,
            "Kubernetes v1.38.0-alpha.1\n",
            ("v1.38.0-alpha.1", "/b is v1.38.0-alpha.1; Nestling is tested with v1.37.2"),
            id="a pre-release",
        ),
        pytest.param(APISERVER, "Kubernetes v1.33.4\n", "is v1.33.4, older than v1.34", id="too old"),
        pytest.param(APISERVER, "what?\n", "does not tell its version", id="no version"),
        pytest.param("etcd", "etcd Version: 3.7.0\nGo: 1.2.3\n", ("v3.7.0", ""), id="etcd"),
        pytest.param("etcd", "etcd Version: 3.4.1\n", "is v3.4.1, older than v3.5", id="old etcd"),
        pytest.param("kubectl", "Client Version: v1.37.0\n", ("v1.37.0", ""), id="kubectl"),
    ],
)
def test_a_program_is_judged_by_its_version(name: str, answer: str, verdict: tuple[str, str] | str) -> None:
    judged = binaries.judge(name, "PATH", Path("/b"), answer)
    if isinstance(verdict, str):
        assert judged == Passed(Path("/b"), verdict)
    else:
        assert judged == Found(name, Path("/b"), verdict[0], "PATH", verdict[1])


def test_one_that_is_too_old_is_passed_over_for_the_next_place(env: Env, install: Install) -> None:
    old = install("assets", APISERVER, "v1.30.0")
    install("cache", APISERVER, "v1.37.2")
    found, passed = binaries.find([APISERVER], env=env)
    assert found[APISERVER].source == "cache"
    assert passed == (Passed(old, "is v1.30.0, older than v1.34"),)


def test_one_that_fails_is_passed_over(env: Env, install: Install) -> None:
    broken = install("bin", APISERVER, "v1.37.2")
    broken.write_text("#!/bin/sh\nexit 1\n")
    found, passed = binaries.find([APISERVER], env=env)
    assert found == {}
    assert passed == (Passed(broken, "does not tell its version (CalledProcessError)"),)


def test_programs_of_two_minor_versions_do_not_go_together(env: Env, install: Install) -> None:
    older = install("assets", APISERVER, "v1.35.1")
    install("cache", APISERVER, "v1.37.2")
    install("cache", MANAGER, "v1.37.2")
    found, passed = binaries.find([APISERVER, MANAGER], env=env)
    assert {name: one.source for name, one in found.items()} == {APISERVER: "cache", MANAGER: "cache"}
    assert passed == (Passed(older, "is v1.35.1, and other programs of this host are v1.37.2"),)


def test_what_is_missing_counts_as_the_version_that_would_be_built(env: Env, install: Install) -> None:
    install("assets", APISERVER, "v1.35.1")
    found, _ = binaries.find([APISERVER, MANAGER], env=env)
    assert found == {}


def test_programs_of_one_other_minor_version_do_go_together(env: Env, install: Install) -> None:
    for name in (APISERVER, MANAGER):
        install("bin", name, "v1.35.1")
    install("bin", "etcd", "v3.6.0")
    found, passed = binaries.find(binaries.LOCAL_PROGRAMS, env=env)
    assert {name: one.version for name, one in found.items()} == {
        "etcd": "v3.6.0",
        APISERVER: "v1.35.1",
        MANAGER: "v1.35.1",
    }
    assert passed == ()


def test_an_unknown_program_is_named_along_with_the_known_ones(env: Env) -> None:
    with pytest.raises(
        HostSetupError, match="kubelet is no program of a host; choose from etcd, kube-apiserver"
    ):
        binaries.find(["kubelet"], env=env)


def test_ensure_builds_nothing_when_all_is_there(env: Env, install: Install) -> None:
    install("cache", "etcd", "v3.7.0")
    told: list[str] = []
    found = binaries.ensure(["etcd"], env=env, progress=told.append)
    assert found["etcd"].source == "cache"
    assert told == []


def test_the_command_line_says_what_is_missing(
    env: Env, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert binaries.main(["find", "etcd"]) == 1
    said = capsys.readouterr().err
    assert "etcd not found" in said
    assert "python -m nestling.host.binaries ensure etcd" in said
