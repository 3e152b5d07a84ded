"""Addresses of nodes and pods: made up, but unique and the same again after a restart.

A pod gets the lowest free address of its node's pod CIDR. Which are free follows from the pods that
exist; nothing is stored beside them. A node's own address is only for people to look at.
"""

import ipaddress
import zlib
from typing import Final

_FIRST_POD: Final = 2  # .0 is the network, .1 the node's end of the bridge
_NODE_BASE: Final = int(ipaddress.IPv4Address("172.16.0.0"))
_NODE_FIRST: Final = 0x20002  # 172.18.0.2
_NODE_MASK: Final = 0xFFFFF  # the 20 host bits of 172.16.0.0/12


class Pool:
    """The pod addresses of one node."""

    __slots__ = ("_base", "_hint", "_holder", "_last", "cidr")

    def __init__(self, cidr: str) -> None:
        """Raises ValueError if `cidr` is none."""
        network = ipaddress.ip_network(cidr, strict=False)
        self.cidr = cidr
        self._base = network.network_address
        # A /31 or /32 has no room beside network and node; it yields no address.
        self._last = min(network.num_addresses - 2, 1 << 20)
        self._holder: dict[str, str] = {}
        self._hint = _FIRST_POD

    def take(self, uid: str) -> str | None:
        """The lowest free address, now held by this pod; None if all are taken."""
        number = self._hint
        while number <= self._last:
            address = str(self._base + number)
            if address not in self._holder:
                self._holder[address] = uid
                self._hint = number + 1
                return address
            number += 1
        return None

    def covers(self, address: str) -> bool:
        """Whether this address is one that pods of this node may have."""
        try:
            number = int(ipaddress.ip_address(address)) - int(self._base)
        except ValueError:
            return False
        return _FIRST_POD <= number <= self._last

    def hold(self, address: str, uid: str) -> None:
        """Mark an address as held by a pod that has it already."""
        self._holder[address] = uid

    def give_back(self, address: str, uid: str) -> None:
        """Free an address, if this pod is the one that holds it."""
        if self._holder.get(address) == uid:
            del self._holder[address]
            self._hint = _FIRST_POD


def node_address(pod_cidr: str, cluster_cidr: str, uid: str) -> str:
    """A node's internal address, counted from 172.18.0.2 by the number of its subnet in the cluster's range.

    A node that has no subnet yet gets one that depends on its UID.
    """
    try:
        network, cluster = ipaddress.ip_network(pod_cidr, strict=False), ipaddress.ip_network(cluster_cidr)
        shift = network.max_prefixlen - network.prefixlen
        number = (int(network.network_address) - int(cluster.network_address)) >> shift
    except ValueError:
        number = zlib.crc32(uid.encode())
    return str(ipaddress.IPv4Address(_NODE_BASE + ((_NODE_FIRST + number) & _NODE_MASK)))
