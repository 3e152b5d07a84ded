"""The two finite supplies of services, cluster IPs and node ports, and who takes what from them.

An `Allocator` is made anew for each decision from the services in the cache. A service's first choice
follows from its UID, so the same service asks for the same address again after a crash, and services
deciding side by side rarely want the same one. The low part of each supply is left for numbers that people
choose by hand, and used last.
Source: Kubernetes 1.37, pkg/registry/core/service/ipallocator and portallocator.
"""

import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Final, Literal, TypeAlias

from nestling.api.kinds import Uid
from nestling.machinery.records.service import Service

Family: TypeAlias = Literal["IPv4", "IPv6"]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# Kept out of what is handed out: the first address is the API server's by custom, the tenth the cluster
# DNS's.
API_SERVER: Final = 1
CLUSTER_DNS: Final = 10
# IPv6 networks are larger than anybody needs; the supply is cut to what can be walked.
MOST_ADDRESSES: Final = 1 << 20
# So many steps from the first choice, an address still counts as handed out by us.
OWN_STEPS: Final = 16


def family_of(address: str) -> Family | None:
    """The IP family of an address, or None if it is none."""
    try:
        return "IPv4" if ipaddress.ip_address(address).version == 4 else "IPv6"
    except ValueError:
        return None


@lru_cache(maxsize=64)
def service_networks(cidrs: str) -> dict[Family, Network]:
    """The networks in a service CIDR setting, one or two separated by a comma, first one first.

    Empty if the setting is unreadable. Callers share the result: do not change it.
    """
    found: dict[Family, Network] = {}
    try:
        for text in cidrs.split(","):
            network = ipaddress.ip_network(text.strip(), strict=False)
            found.setdefault("IPv4" if network.version == 4 else "IPv6", network)
    except ValueError:
        return {}
    return found


@dataclass(frozen=True, slots=True)
class Supply:
    """Numbers `first` to `first + size - 1`, of which the lowest `band` are handed out last."""

    first: int
    size: int
    band: int

    @classmethod
    def of_addresses(cls, network: Network) -> "Supply":
        """The addresses of a network that can be a service's, without network and broadcast address."""
        last = int(network.broadcast_address) - (network.version == 4)
        size = min(last - int(network.network_address), MOST_ADDRESSES)
        return cls(int(network.network_address) + 1, max(size, 0), _band(size, 16, 256, 16))

    @classmethod
    def of_ports(cls, first: int, last: int) -> "Supply":
        """The node ports of a range, both ends included."""
        size = last - first + 1
        return cls(first, max(size, 0), _band(size, 16, 128, 32))

    def choices(self, *seed: str) -> Iterator[int]:
        """Every number once, in the order in which somebody of this `seed` wants them."""
        digest = hashlib.blake2b("\x00".join(seed).encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big")
        for start, size in ((self.band, self.size - self.band), (0, self.band)):
            for step in range(size):
                yield self.first + start + (number + step) % size

    def __contains__(self, number: int) -> bool:
        return self.first <= number < self.first + self.size


def _band(size: int, least: int, most: int, step: int) -> int:
    """How many of the lowest numbers are kept for hand-picked ones; none of a supply that is too small."""
    return 0 if size <= least else min(max(least, size // step), most)


@dataclass(slots=True)
class Allocator:
    """What is taken, and the next choice. Taking changes the allocator, not the services it came from."""

    networks: dict[Family, Network]
    ports: Supply
    taken_addresses: set[str] = field(default_factory=set[str])
    taken_ports: set[int] = field(default_factory=set[int])

    @classmethod
    def of(
        cls, services: Iterable[Service], networks: dict[Family, Network], first_port: int, last_port: int
    ) -> "Allocator":
        """An allocator that knows what these services hold, and what is reserved."""
        made = cls(networks, Supply.of_ports(first_port, last_port))
        for network in networks.values():
            made.taken_addresses |= set(reserved(network))
        for service in services:
            made.taken_addresses.update(service.cluster_ips)
            made.taken_ports.update(service.node_ports)
        return made

    def take_address(self, uid: Uid, family: Family) -> str | None:
        """An address for the service with this UID, or None if the network is full."""
        network = self.networks[family]
        for number in Supply.of_addresses(network).choices(uid, family):
            address = _address(network, number)
            if address not in self.taken_addresses:
                self.taken_addresses.add(address)
                return address
        return None

    def take_port(self, uid: Uid, name: str) -> int | None:
        """A node port for the port of this name of the service with this UID, or None if all are taken."""
        for number in self.ports.choices(uid, name):
            if number not in self.taken_ports:
                self.taken_ports.add(number)
                return number
        return None

    def gave_address(self, uid: Uid, family: Family, address: str) -> bool:
        """Whether an address looks like one we gave to this service, rather than one that people chose."""
        network = self.networks[family]
        first = islice(Supply.of_addresses(network).choices(uid, family), OWN_STEPS)
        return address in {_address(network, number) for number in first}

    def gave_port(self, uid: Uid, name: str, port: int) -> bool:
        """Whether a node port looks like one we gave to this service."""
        return port in set(islice(self.ports.choices(uid, name), OWN_STEPS))


def reserved(network: Network) -> Collection[str]:
    """Addresses that are never handed out: those of the API server and of the cluster DNS."""
    first = int(network.network_address)
    return [_address(network, first + offset) for offset in (API_SERVER, CLUSTER_DNS)]


def _address(network: Network, number: int) -> str:
    return str(ipaddress.IPv4Address(number) if network.version == 4 else ipaddress.IPv6Address(number))
