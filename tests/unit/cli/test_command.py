"""The command as a whole: help, version, exit codes, completion, start-up, and the name kubectl gives it."""

import errno
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import typed
from embedded_server import EmbeddedServer
from nestling.cli import age
from nestling.cli.group import program
from nestling.cli.output import Column, Progress, Toned, counted, plain_lines
from nestling.cli.problem import Problem, verdict
from nestling.machinery.errors import (
    Conflict,
    HostError,
    NestlingError,
    NotFound,
    Refused,
    Throttled,
    Unavailable,
)

HEAVY = (
    "kopf",
    "kubernetes",
    "numpy",
    "pydantic",
    "aiohttp",
    "rich",
    "yaml",
    "cryptography",
    "jsonschema_rs",
)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of Python in a process of its own."""
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("-h",),
        *(
            (command, "--help")
            for command in ("install", "uninstall", "convert", "schedule", "doctor", "run")
        ),
        ("explain", "pod", "--help"),
        ("completion", "--help"),
        ("host", "--help"),
    ],
    ids=" ".join,
)
def test_every_command_has_help(arguments: tuple[str, ...]) -> None:
    done = typed(*arguments)
    assert done.code == 0
    assert done.out.startswith("Usage: ")


def test_version_names_the_program() -> None:
    done = typed("--version")
    assert (done.code, done.out.split()[0]) == (0, "nestling")


def test_a_misspelt_command_is_a_usage_error_with_a_hint() -> None:
    done = typed("instal")
    assert done.code == 2
    assert "Did you mean 'install'" in done.err


def test_help_needs_none_of_the_heavy_libraries() -> None:
    code = f"import sys, nestling.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = run_python(code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param("/usr/local/bin/nestling", "nestling", id="alone"),
        pytest.param("/usr/local/bin/kubectl-nestling", "kubectl nestling", id="plugin"),
        pytest.param("python -m", "nestling", id="anything else"),
    ],
)
def test_help_shows_the_name_that_users_type(path: str, name: str) -> None:
    assert program(path) == name


def test_the_plugin_shows_kubectl_in_its_usage() -> None:
    done = run_python(
        "import sys; sys.argv = ['/bin/kubectl-nestling', '--help']; import nestling.cli.main as m; m.main()"
    )
    assert done.stdout.startswith("Usage: kubectl nestling ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_back_under_our_variable(shell: str) -> None:
    done = typed("completion", shell)
    assert done.code == 0
    assert f"_NESTLING_COMPLETE=complete_{shell}" in done.out


def test_completion_answers_a_shell() -> None:
    done = run_python(
        "import sys; sys.argv = ['nestling']; import nestling.cli.main as m; m.main()",
        _NESTLING_COMPLETE="complete_bash",
        COMP_WORDS="nestling uni",
        COMP_CWORD="1",
    )
    assert done.stdout.split() == ["uninstall"]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        pytest.param(Problem("it broke", next_step="mend it"), 1, "it broke; mend it", id="problem"),
        pytest.param(Problem("it broke.", exit_code=2), 2, "it broke", id="no step, no full stop"),
        pytest.param(NotFound("x not found", status=404, reason="NotFound"), 3, "x not found", id="object"),
        pytest.param(
            NotFound("the server could not find the requested resource", status=404, reason="NotFound"),
            3,
            "the host does not know Nestling's kinds; install them first: `nestling install`",
            id="kind",
        ),
        pytest.param(
            Unavailable("no answer"),
            4,
            "no answer; start the host (`nestling host up`), or point KUBECONFIG at one that runs",
            id="no answer",
        ),
        pytest.param(
            Unavailable("oh no", status=500),
            4,
            "oh no; try again in a moment; `nestling doctor` shows whether the host is well",
            id="server error",
        ),
        pytest.param(
            Throttled("slow down", retry_after_s=2), 4, "slow down; try again in 2 s", id="throttled"
        ),
        pytest.param(
            Conflict("it moved", status=409),
            1,
            "it moved; somebody changed it meanwhile: run the command again",
            id="conflict",
        ),
        pytest.param(
            Refused("pods is forbidden", status=403),
            1,
            "pods is forbidden; ask for the rights it names, or use another --context; "
            "`nestling doctor` lists what is missing",
            id="forbidden",
        ),
        pytest.param(Refused("spec is invalid", status=422), 1, "spec is invalid", id="invalid"),
        pytest.param(HostError("a\nb\n  c"), 1, "a b c", id="one line"),
        pytest.param(NestlingError("plain"), 1, "plain", id="anything of ours"),
        pytest.param(
            PermissionError(errno.EACCES, "Permission denied", "/etc/x"),
            1,
            "/etc/x: permission denied",
            id="file system",
        ),
        pytest.param(OSError("odd"), 1, "odd", id="system error without a number"),
    ],
)
def test_errors_become_a_sentence_and_an_exit_code(
    error: NestlingError | OSError, code: int, text: str
) -> None:
    found = verdict(error)
    assert (found.exit_code, found.sentence) == (code, text)


def test_a_plain_table_is_aligned_and_has_no_trailing_blanks() -> None:
    columns = (Column("NAME"), Column("COUNT", right=True), Column("NOTE"))
    rows = [[Toned("a"), Toned("7"), Toned("")], [Toned("longer", "bad"), Toned("123"), Toned("x")]]
    assert list(plain_lines(columns, rows)) == [
        "NAME     COUNT   NOTE",
        "a            7",
        "longer     123   x",
    ]
    assert list(plain_lines(columns, [], headers=False)) == []


def test_counting_speaks_english() -> None:
    assert [counted(number, "kind") for number in (0, 1, 2)] == ["0 kinds", "1 kind", "2 kinds"]


# Source: Kubernetes 1.37, k8s.io/apimachinery/pkg/util/duration (HumanDuration).
@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (121, "2m1s"),
        (599, "9m59s"),
        (600, "10m"),
        (3600 * 3 - 1, "179m"),
        (3600 * 3, "3h"),
        (3600 * 8 - 1, "7h59m"),
        (3600 * 8, "8h"),
        (3600 * 48 - 1, "47h"),
        (3600 * 48, "2d"),
        (86400 * 8 - 1, "7d23h"),
        (86400 * 8, "8d"),
        (86400 * 365 * 2 - 1, "729d"),
        (86400 * 365 * 2, "2y"),
        (86400 * 365 * 8, "8y"),
    ],
)
def test_ages_read_as_kubectl_writes_them(seconds: float, text: str) -> None:
    assert age.human(seconds) == text


def test_data_goes_to_standard_output_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("apiVersion: v1\nkind: Ingress\nmetadata: {name: a}\n")
    done = typed("convert", "-f", str(file))
    assert done.out == ""
    assert done.err.startswith("Warning: ")


def test_a_state_directory_that_cannot_be_made_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NESTLING_STATE", str(tmp_path / "file" / "below"))
    done = typed("host", "up")
    assert done.code == 1
    assert re.search(r"^Error: .*file/below.*: not a directory$", done.err, re.MULTILINE), done.err


def test_a_metrics_port_that_is_taken_is_named_before_the_work_begins(host: EmbeddedServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = typed("run", "--metrics-address", address)
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert done.err.startswith(
        f"Error: --metrics-address {address} cannot be listened on: address already in use; "
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(None, "there is no such file", id="missing"),
        pytest.param("a: [1,\n", "while parsing a flow node", id="not YAML"),
        pytest.param("", "file is empty", id="empty"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_said_why(
    text: str | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(file))
    done = typed("explain", "pod", "x")
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert f"no usable kubeconfig {file}: " in done.err
    assert sentence in done.err


def test_a_log_tells_what_is_still_waited_for_although_it_first_came_too_soon(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    tell = Progress()
    tell("first")
    tell("second")
    now = 5.0
    tell("second")
    tell("second")
    assert capsys.readouterr().err.splitlines() == ["first", "second"]


def test_a_shard_that_does_not_exist_is_refused() -> None:
    done = typed("run", "kubelet", "--shard", "2", "--shards", "2")
    assert done.code == 2
    assert "they count from 0 to 1" in done.err
