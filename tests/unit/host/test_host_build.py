"""A build moves finished programs into the cache and nothing else, and its failures are one sentence.

Go is played by a shell script: what is under test is everything around it.
"""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from nestling.host import binaries, build, release, toolchain
from nestling.host.build import Tally
from nestling.host.errors import BinaryMissingError
from nestling.host.record import silent

FAKE_GO = """#!/bin/sh
echo "$@" >> "$HOME/calls"
case "$1 $2" in
"env GOVERSION") echo "${FAKE_VERSION:-go1.26.8}";;
"mod download")
  [ -z "$FAKE_OFFLINE" ] || { printf '{\\n\\t"Error": "k8s.io/x: dial tcp: refused"\\n}\\n'; exit 1; }
  printf '{"GoMod": "%s"}' "$HOME/theirs.mod";;
"list -mod=mod") printf 'a\\nb\\nc\\n';;
"build -mod=mod")
  printf 'go: downloading x v1\\nk8s.io/a\\nk8s.io/b\\n' >&2
  [ -z "$FAKE_FAILURE" ] || { printf '%s\\n' "$FAKE_FAILURE" >&2; exit 1; }
  while [ "$1" != -o ]; do shift; done
  out=$2; shift 2
  for target; do echo program > "$out/$(basename "$target")"; chmod 755 "$out/$(basename "$target")"; done;;
esac
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A machine with our go on PATH and an empty cache."""
    (tmp_path / "bin").mkdir()
    go = tmp_path / "bin" / "go"
    go.write_text(FAKE_GO)
    go.chmod(0o755)
    (tmp_path / "theirs.mod").write_text(
        "module k8s.io/kubernetes\n\nreplace (\n\tk8s.io/api => ./staging/api\n)\n"
    )
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    return {"PATH": path, "HOME": str(tmp_path), "NESTLING_CACHE": str(tmp_path / "cache")}


def calls(env: dict[str, str]) -> list[str]:
    """The first words of every call of go."""
    log = Path(env["HOME"], "calls")
    return [" ".join(line.split()[:2]) for line in log.read_text().splitlines()] if log.exists() else []


def test_what_is_missing_is_built_once(env: dict[str, str]) -> None:
    told: list[str] = []
    first = binaries.ensure(["etcd", "kube-apiserver"], env=env, progress=told.append)
    assert {name: one.source for name, one in first.items()} == {"etcd": "built", "kube-apiserver": "built"}
    assert all(os.access(one.path, os.X_OK) for one in first.values())
    assert told[0].startswith("building etcd, kube-apiserver v1.37.2 from Go modules, about 6 minutes, once")
    assert told[-1].startswith("built etcd, kube-apiserver in ")
    made = len(calls(env))

    second = binaries.ensure(["etcd", "kube-apiserver"], env=env)
    assert {one.source for one in second.values()} == {"cache"}
    assert len(calls(env)) == made


def test_a_program_that_comes_later_is_built_alone(env: dict[str, str]) -> None:
    binaries.ensure(["etcd"], env=env)
    told: list[str] = []
    binaries.ensure(["etcd", "kube-scheduler"], env=env, progress=told.append)
    assert told[0].startswith("building kube-scheduler ")


def test_kubernetes_and_kwok_are_two_builds(env: dict[str, str]) -> None:
    found = binaries.ensure(["kwok", "etcd"], env=env)
    assert {name: one.path.parent.parent.name for name, one in found.items()} == {
        "kwok": "kwok",
        "etcd": "kubernetes",
    }
    assert calls(env).count("build -mod=mod") == 2


def test_a_failed_build_leaves_no_program_and_the_next_one_succeeds(env: dict[str, str]) -> None:
    with pytest.raises(BinaryMissingError, match=r"building etcd failed \(x.go:1: wrong\); read .*build.log"):
        binaries.ensure(["etcd"], env={**env, "FAKE_FAILURE": "x.go:1: wrong"})
    assert not binaries.cached("etcd", env).exists()
    assert binaries.ensure(["etcd"], env=env)["etcd"].source == "built"


def test_what_go_says_in_json_is_heard_too(env: dict[str, str]) -> None:
    with pytest.raises(BinaryMissingError, match=r"downloaded \(k8s.io/x: dial tcp: refused\); check the"):
        binaries.ensure(["etcd"], env={**env, "FAKE_OFFLINE": "1"})


def test_a_second_build_waits_for_the_first_and_then_has_nothing_to_do(env: dict[str, str]) -> None:
    home = binaries.cached("etcd", env).parent
    home.mkdir(parents=True)
    lock = os.open(home / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    told: list[str] = []
    waiting = threading.Event()

    def tell(line: str) -> None:
        told.append(line)
        waiting.set()

    def second() -> None:
        build.build(release.KUBERNETES, ["etcd"], env=env, progress=tell)

    thread = threading.Thread(target=second)
    thread.start()
    assert waiting.wait(10)
    (home / "etcd").write_text("made by the first")
    os.close(lock)
    thread.join(10)
    assert told == ["another build is at work in the cache; waiting for it"]
    assert calls(env) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(
            ["go: downloading a v1", 'go: a@v1: Get "https://proxy/a": dial tcp: lookup proxy: no such host'],
            "because Go modules could not be downloaded (go: a@v1: Get",
            id="no network",
        ),
        pytest.param(
            ["go: k8s.io/x@v1: reading https://proxy/x: 403 Forbidden", "\tserver response: no"],
            "because Go modules could not be downloaded (go: k8s.io/x@v1: reading",
            id="refused by a proxy, which then explains itself",
        ),
        pytest.param(
            ["write /x: no space left on device"], "because the disk is full; free about", id="disk"
        ),
        pytest.param(["k8s.io/x: compile: signal: killed"], "for want of memory; run the same", id="memory"),
        pytest.param(["a.go:7:1: undefined: x"], "(a.go:7:1: undefined: x); read /log", id="code"),
        pytest.param([], "(it does not say why); read /log", id="silence"),
    ],
)
def test_a_failure_is_one_sentence_with_a_next_step(lines: list[str], said: str) -> None:
    sentence = str(build.failure("building etcd", lines, Path("/log")))
    assert sentence.startswith("building etcd failed ")
    assert said in sentence
    assert "\n" not in sentence


def test_progress_counts_what_go_says() -> None:
    tally = Tally("building etcd", total=40)
    assert tally.line(1) == "building etcd: 1 s"
    for line in [
        "go: downloading a v1",
        "k8s.io/a",
        "k8s.io/b",
        "# k8s.io/b",
        "\ta warning",
        "go: found x",
        "",
    ]:
        tally.count(line)
    assert tally.line(61.4) == "building etcd: 1 modules downloaded, 2 of at most 40 packages compiled, 61 s"


def test_our_module_replaces_what_kubernetes_replaces() -> None:
    theirs = "require k8s.io/utils v0.1\nreplace (\n\tk8s.io/api => ./a/api\n\tk8s.io/kms => ./a/kms\n)\n"
    assert release.replaced_modules(theirs) == ["k8s.io/api", "k8s.io/kms"]
    assert release.staging_version("v1.37.2") == "v0.37.2"
    assert release.go_mod({"m": "v1"}, {"k8s.io/api": "v0.37.2"}).splitlines()[2:] == [
        "go 1.26.0",
        "",
        "require (",
        "\tm v1",
        ")",
        "",
        "replace (",
        "\tk8s.io/api => k8s.io/api v0.37.2",
        ")",
    ]


@pytest.mark.parametrize("name", [name for name, one in release.PROGRAMS.items() if one.call])
def test_every_program_calls_what_it_imports(name: str) -> None:
    program = release.PROGRAMS[name]
    text = release.main_go(program)
    alias = program.package.rsplit("/", 1)[1]
    assert f'{alias} "{program.package}"' in text
    assert f"{alias}." in text.split("func main()")[1]
    assert ("component-base/cli" in text) == ("cli.Run" in text)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        pytest.param("go1.26.8", (1, 26), id="release"),
        pytest.param("go1.27rc1", (1, 27), id="candidate"),
        pytest.param("devel go1.28-abc", None, id="own build tells no release"),
    ],
)
def test_the_version_of_go_is_asked_for(
    env: dict[str, str], version: str, expected: tuple[int, int] | None
) -> None:
    go = Path(env["HOME"], "bin", "go")
    assert toolchain.go_version(go, {**env, "FAKE_VERSION": version}) == expected


def test_a_go_that_is_new_enough_is_taken_from_path(env: dict[str, str]) -> None:
    assert toolchain.find_go(env, silent) == Path(env["HOME"], "bin", "go")


def test_an_old_go_is_passed_over_for_the_one_in_our_cache(env: dict[str, str]) -> None:
    kept = Path(env["NESTLING_CACHE"], "go", "go", "bin", "go")
    kept.parent.mkdir(parents=True)
    kept.write_text("#!/bin/sh\necho go1.27.3\n")
    kept.chmod(0o755)
    told: list[str] = []
    assert toolchain.find_go({**env, "FAKE_VERSION": "go1.19.8"}, told.append) == kept
    assert told == [f"not using {env['HOME']}/bin/go: it is older than Go 1.26 or later"]


def test_settings_of_one_module_or_machine_do_not_reach_go() -> None:
    given = {"GOROOT": "/old", "GOOS": "plan9", "GOWORK": "/w", "GOPROXY": "https://p", "GOTOOLCHAIN": "auto"}
    env = toolchain.go_environment(given)
    assert "GOROOT" not in env
    assert "GOOS" not in env
    assert (env["GOWORK"], env["GOPROXY"], env["GOTOOLCHAIN"]) == ("off", "https://p", "local")


def test_a_program_with_a_module_of_its_own_is_built_in_it(env: dict[str, str]) -> None:
    found = binaries.ensure(["helm"], env=env)
    assert found["helm"].path == Path(env["NESTLING_CACHE"], "helm", release.HELM_VERSION, "helm")
    assert found["helm"].source == "built"


@pytest.mark.parametrize(("name", "module"), [("helm", "helm.sh/helm/v3"), ("kwok", "sigs.k8s.io/kwok")])
def test_module_of_a_program(name: str, module: str) -> None:
    assert release.module_of(release.PROGRAMS[name]) == module
