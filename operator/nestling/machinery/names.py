"""The one rule that maps a virtual object's namespace and name to its name on the host, and back.

`web` is object `web` of virtual namespace `default`; `web.shop` is object `web` of virtual namespace `shop`.
A virtual namespace has no dots, so the part after the last dot names it; an object of `default` whose own
name has dots is written `a.b.default`. Objects without a namespace (nodes, priority classes) keep their name
as it is. No other module splits or joins host names.
"""

import hashlib
from typing import Final, NamedTuple

from nestling.api.kinds import Kind

DEFAULT_NAMESPACE: Final = "default"

# Kubernetes' alphabet for generated names: no vowels, so no words; no 0, 1 and 3, which read as letters.
# Source: Kubernetes 1.37, staging/src/k8s.io/apimachinery/pkg/util/rand.
SAFE_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


class Key(NamedTuple):
    """Where a virtual object lives: the host namespace that is its cluster, its virtual namespace, its name.

    `namespace` is empty for kinds that have none.
    """

    cluster: str
    namespace: str
    name: str

    @property
    def host_name(self) -> str:
        """Name of the custom resource that holds this object."""
        return host_name(self.namespace, self.name)

    @property
    def display(self) -> str:
        """`namespace/name` as people write it, or the bare name where there is no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def host_name(namespace: str, name: str) -> str:
    """Name on the host of object `name` in virtual namespace `namespace` (empty for kinds without one)."""
    if not namespace:
        return name
    if namespace == DEFAULT_NAMESPACE and "." not in name:
        return name
    return f"{name}.{namespace}"


def key_of(kind: Kind, cluster: str, host_name: str) -> Key:
    """The virtual identity behind `host_name` of `kind` in the host namespace `cluster`."""
    if not kind.scoped:
        return Key(cluster, "", host_name)
    name, dot, namespace = host_name.rpartition(".")
    return Key(cluster, namespace, name) if dot else Key(cluster, DEFAULT_NAMESPACE, host_name)


def suffix(*parts: str | int, length: int = 5) -> str:
    """A short name part that depends on `parts` alone: a repeated create meets its twin, not a double."""
    digest = hashlib.blake2b("\x00".join(map(str, parts)).encode(), digest_size=16).digest()
    number = int.from_bytes(digest, "big")
    letters: list[str] = []
    for _ in range(length):
        number, index = divmod(number, len(SAFE_ALPHABET))
        letters.append(SAFE_ALPHABET[index])
    return "".join(letters)
