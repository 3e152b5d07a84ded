"""The user's kubeconfig is read as kubectl reads it, and never written."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nestling.host import current
from nestling.host.current import CurrentHost, CurrentSettings
from nestling.host.errors import HostSetupError
from nestling.host.record import silent

# Nothing listens on the discard port of loopback.
NOWHERE = "https://127.0.0.1:9"


def a_kubeconfig(context: str, *, server: str = NOWHERE, current_context: bool = True) -> dict[str, Any]:
    """A kubeconfig with one context, and cluster and user of the same name."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": {"server": server}}],
        "users": [{"name": context, "user": {"token": context}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        **({"current-context": context} if current_context else {}),
    }


def write(path: Path, document: object) -> Path:
    """A YAML file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return path


def test_files_are_those_of_the_variable_or_else_the_home_directory(tmp_path: Path) -> None:
    home = write(tmp_path / ".kube" / "config", {})
    one, two = write(tmp_path / "one", {}), write(tmp_path / "two", {})
    env = {"HOME": str(tmp_path)}
    assert current.kubeconfig_files(env) == [home]
    assert current.kubeconfig_files({**env, "KUBECONFIG": ""}) == [home]
    assert current.kubeconfig_files({**env, "KUBECONFIG": f"{two}:{tmp_path / 'absent'}::{one}"}) == [
        two,
        one,
    ]
    assert current.kubeconfig_files({"HOME": str(tmp_path / "empty")}) == []


def test_the_first_of_two_entries_and_contexts_wins() -> None:
    first, second = a_kubeconfig("a", server="https://first"), a_kubeconfig("a", server="https://second")
    merged = current.merge([{**first, "current-context": ""}, second, a_kubeconfig("b", server="https://b")])
    assert merged["current-context"] == "a"
    assert current.server_of(merged, "a") == "https://first"
    assert current.server_of(merged, "b") == "https://b"


@pytest.mark.parametrize(
    ("document", "context"),
    [
        pytest.param({}, "a", id="nothing in it"),
        pytest.param({"contexts": None, "clusters": None}, "a", id="nulls"),
        pytest.param(a_kubeconfig("a"), "b", id="another context"),
        pytest.param({**a_kubeconfig("a"), "clusters": []}, "a", id="its cluster is missing"),
        pytest.param({"contexts": [{"name": "a", "context": None}]}, "a", id="an empty context"),
    ],
)
def test_a_context_that_leads_nowhere_has_no_server(document: dict[str, Any], context: str) -> None:
    assert current.server_of(document, context) is None


def test_paths_are_relative_to_their_own_file() -> None:
    document = a_kubeconfig("a")
    document["clusters"][0]["cluster"]["certificate-authority"] = "pki/ca.crt"
    document["users"][0]["user"] = {"client-key": "/abs.key", "tokenFile": "t"}
    resolved = current.resolve(document, Path("/kube"))
    assert resolved["clusters"][0]["cluster"]["certificate-authority"] == "/kube/pki/ca.crt"
    assert resolved["users"][0]["user"] == {"client-key": "/abs.key", "tokenFile": "/kube/t"}


@pytest.mark.parametrize(
    ("content", "context", "sentence"),
    [
        pytest.param(None, "", "no kubeconfig in KUBECONFIG or ~/.kube/config; use `nestling", id="no file"),
        pytest.param("a: [", "", "is not readable (while parsing", id="no YAML"),
        pytest.param("- 1", "", "is not a kubeconfig; repair it", id="a list"),
        pytest.param(
            yaml.safe_dump(a_kubeconfig("a", current_context=False)),
            "",
            "no current context is set in",
            id="no current context",
        ),
        pytest.param(
            yaml.safe_dump(a_kubeconfig("a")), "b", "context b is not in", id="a context that is not there"
        ),
        pytest.param(
            yaml.safe_dump(a_kubeconfig("a")), "", "does not answer (", id="a server that does not answer"
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, content: str | None, context: str, sentence: str
) -> None:
    if content is not None:
        (tmp_path / ".kube").mkdir()
        (tmp_path / ".kube" / "config").write_text(content)
    host = CurrentHost(CurrentSettings("current", tmp_path / "state", context), env={"HOME": str(tmp_path)})
    with pytest.raises(HostSetupError) as caught:
        host.up(silent)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "state" / "host.json").exists()
