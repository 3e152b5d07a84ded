"""A kubeconfig is read, and whatever is wrong with it becomes one sentence."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from nestling.machinery.kubeconfig import NoHost, identify

EXPIRES = datetime(2126, 1, 1, tzinfo=UTC)


def kubeconfig(
    folder: Path, *, user: dict[str, Any], cluster: dict[str, Any] | None = None, namespace: str = ""
) -> Path:
    """A kubeconfig with one context, in a folder of its own."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "contexts": [
            {"name": "lab", "context": {"cluster": "c", "user": "u", "namespace": namespace or None}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_token_and_namespace(tmp_path: Path) -> None:
    found = identify(kubeconfig(tmp_path, user={"token": "secret"}, namespace="team-a"), None, apart=False)
    assert (found.server, found.context, found.namespace) == ("https://127.0.0.1:6443", "lab", "team-a")
    assert (found.authorization, found.expires_at, found.verify) == ("Bearer secret", None, True)
    assert (found.ca, found.certificate, found.key) == ("", "", "")


def test_certificates_beside_the_kubeconfig(tmp_path: Path) -> None:
    for name in ("ca", "crt", "key"):
        (tmp_path / name).write_text(f"the {name}\n", encoding="utf-8")
    path = kubeconfig(
        tmp_path,
        user={"client-certificate": "crt", "client-key": "key"},
        cluster={"certificate-authority": "ca"},
    )
    found = identify(path, "lab", apart=False)
    assert (found.ca, found.certificate, found.key) == ("the ca\n", "the crt\n", "the key\n")
    assert (found.namespace, found.authorization) == ("default", "")


def test_basic_login_and_no_verification(tmp_path: Path) -> None:
    path = kubeconfig(
        tmp_path, user={"username": "a", "password": "b"}, cluster={"insecure-skip-tls-verify": True}
    )
    found = identify(path, None, apart=False)
    assert (found.authorization, found.verify) == ("Basic YTpi", False)


def test_exec_plugin_is_run_and_its_expiry_kept(tmp_path: Path) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "fresh", "expirationTimestamp": EXPIRES.strftime("%Y-%m-%dT%H:%M:%SZ")},
    }
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", f"print({json.dumps(json.dumps(credential))})"],
        "interactiveMode": "Never",
    }
    found = identify(kubeconfig(tmp_path, user={"exec": plugin}), None, apart=False)
    assert (found.authorization, found.expires_at) == ("Bearer fresh", EXPIRES.timestamp())


@pytest.mark.parametrize(
    ("text", "context", "why"),
    [
        pytest.param(None, None, "there is no such file", id="no file"),
        pytest.param("a: [", None, "while parsing", id="broken YAML"),
        pytest.param("", None, "file is empty", id="empty"),
        pytest.param("- 1", None, "", id="a list"),
        pytest.param("{}", None, "current-context", id="no context at all"),
        pytest.param("whole", "shop", "Expected object with name shop", id="unknown context"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, text: str | None, context: str | None, why: str
) -> None:
    path = tmp_path / "kubeconfig"
    if text == "whole":
        path = kubeconfig(tmp_path, user={"token": "t"})
    elif text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(NoHost) as raised:
        identify(path, context, apart=False)
    sentence = str(raised.value)
    assert sentence.startswith(f"no usable kubeconfig {path}: ")
    assert why in sentence
    assert "\n" not in sentence
    assert sentence.endswith("Start a host with `nestling host up`, or set KUBECONFIG.")


def test_a_process_of_its_own_answers_the_same(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, user={"token": "secret"})
    assert identify(path, "lab", apart=True) == identify(path, "lab", apart=False)
    with pytest.raises(NoHost, match="Expected object with name shop"):
        identify(path, "shop", apart=True)
