"""Kubeconfig files that stand alone: certificate and token inside, so the file can be copied anywhere.

Source: Kubernetes 1.37, client-go/tools/clientcmd/api/v1.
"""

import base64
from pathlib import Path
from typing import Any

import yaml

from nestling.host.paths import write_private


def content(*, name: str, server: str, token: str, ca: bytes | None = None) -> dict[str, Any]:
    """One cluster, one user, one context, all called `name`.

    `ca` is PEM; None trusts the system's authorities.
    """
    cluster: dict[str, Any] = {"server": server}
    if ca is not None:
        cluster["certificate-authority-data"] = base64.b64encode(ca).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    }


def write(path: Path, *, name: str, server: str, token: str, ca: bytes | None = None) -> Path:
    """Write the file, readable by this user only."""
    document = content(name=name, server=server, token=token, ca=ca)
    write_private(path, yaml.safe_dump(document, sort_keys=False).encode())
    return path
