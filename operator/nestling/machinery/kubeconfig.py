"""Read a kubeconfig with the `kubernetes` library, for a long-lived process in a Python of its own.

The library costs half a second and 19 MiB to import, and a process that lives for months would keep all of it
for something it does once, or once an hour where a token expires. So the operator has
`python -m nestling.machinery.kubeconfig [--path P] [--context C]` do it, which runs exec plugins on the
terminal that it shares and prints one JSON object: an `Identity`, or an `error` of one sentence. A command
that is soon over reads the file itself.
"""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from nestling.machinery.errors import NestlingError

_PREAMBLE: Final = re.compile(r"^Invalid kube-config(?: file)?\. (?=.)")


class NoHost(NestlingError):
    """There is no cluster to talk to, or its configuration cannot be used."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are at one host, as a context of a kubeconfig says; certificates are PEM texts, "" if none.

    `authorization` is the whole header, good until `expires_at` (seconds since 1970; None: for ever).
    """

    server: str
    context: str
    namespace: str
    verify: bool
    ca: str
    certificate: str
    key: str
    authorization: str
    expires_at: float | None


def identify(path: Path | None, context: str | None, *, apart: bool) -> Identity:
    """The identity behind a context, `apart` if read in a process of its own.

    Raises NoHost with one sentence.
    """
    answer = _ask(path, context) if apart else answer_to(path, context)
    if why := answer.get("error"):
        where = f"kubeconfig {path}" if path is not None else "kubeconfig"
        raise NoHost(f"no usable {where}: {why}. Start a host with `nestling host up`, or set KUBECONFIG.")
    return Identity(**answer)


def answer_to(path: Path | None, context: str | None) -> dict[str, Any]:
    """The fields of an Identity, or an `error`."""
    try:
        return asdict(read(path, context))
    except Exception as error:  # a library reads a user's file: whatever it raises is the answer
        return {"error": _sentence(error)}


def _ask(path: Path | None, context: str | None) -> dict[str, Any]:
    arguments = ["--path", str(path)] if path is not None else []
    arguments += ["--context", context] if context is not None else []
    # -P: a yaml.py in the current directory is none of ours.
    command = [sys.executable, "-P", "-m", "nestling.machinery.kubeconfig", *arguments]
    asked = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603  ourselves
    try:
        return json.loads(asked.stdout)
    except ValueError:
        return {"error": f"reading it ended with code {asked.returncode}"}


def read(path: Path | None, context: str | None) -> Identity:
    """Read the kubeconfig in this process. Raises whatever the library raises."""
    from kubernetes import client, config  # noqa: PLC0415  only the process of its own pays for it
    from kubernetes.config.kube_config import (  # noqa: PLC0415
        KUBE_CONFIG_DEFAULT_LOCATION,
        KubeConfigLoader,
        KubeConfigMerger,
    )

    if path is not None and not path.exists():
        raise FileNotFoundError("there is no such file")
    merged = KubeConfigMerger(str(path) if path is not None else KUBE_CONFIG_DEFAULT_LOCATION)
    if merged.config is None:
        raise config.ConfigException("No configuration found")
    # No base path: what the file names relatively lies beside it, not in the current directory.
    base: Any = None
    loader = KubeConfigLoader(merged.config, active_context=context, config_base_path=base)
    found: Any = client.Configuration()
    loader.load_and_set(found)
    expiry = getattr(loader, "expiry", None)
    chosen: Any = loader.current_context
    return Identity(
        server=str(found.host),
        context=str(chosen.get("name", "")),
        namespace=str((chosen.get("context") or {}).get("namespace") or "default"),
        verify=bool(found.verify_ssl),
        ca=_text(found.ssl_ca_cert),
        certificate=_text(found.cert_file),
        key=_text(found.key_file),
        authorization=str(found.get_api_key_with_prefix("BearerToken") or ""),
        expires_at=expiry.timestamp() if expiry is not None else None,
    )


def _text(file: str | None) -> str:
    return Path(file).read_text(encoding="utf-8") if file else ""


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    # The library begins every complaint with the same words, and then says what is the matter.
    return _PREAMBLE.sub("", text).rstrip(".")


def main() -> None:
    """Print the identity, or why there is none."""
    parser = argparse.ArgumentParser(prog="python -m nestling.machinery.kubeconfig")
    parser.add_argument("--path", type=Path)
    parser.add_argument("--context")
    asked = parser.parse_args()
    json.dump(answer_to(asked.path, asked.context), sys.stdout)


if __name__ == "__main__":
    main()
