"""Who really calls: the address behind our own proxies, which a caller cannot choose, and the network it is in.

`X-Forwarded-For` is a list that everybody on the way may write to. Only its right end, written by proxies that we
trust, says anything; the left end is whatever the caller sent.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

HOPS_MAX = 50
"""Hops that are looked at, from the right; no real chain of proxies is nearly as long."""
MAPPED_BITS = 96
"""In `::ffff:1.2.3.4` the IPv4 address begins after these: a socket that listens for both kinds writes it that way."""
HOP_CHARACTERS_MAX = 80
"""The longest IPv6 address has 45 characters; brackets, zone and port come on top. What is longer is no address."""
KNOWN_TEXTS = 16_384
NETWORK_BITS = 64
"""One customer of a provider has at least a /64 of IPv6, and may use every address in it."""

UNKNOWN = str(IPv4Address(0))
"""Stands for a peer without an address, such as one that came through a Unix socket."""

_HOP = re.compile(r"\[(?P<bracketed>[^\]]+)\](?::\d{1,5})?|(?P<v4>[\d.]+):\d{1,5}|(?P<bare>.+)", re.ASCII)


class TrustedProxies:
    """The proxies whose word about their caller is believed."""

    def __init__(self, text: str = "") -> None:
        """Read a list such as `127.0.0.1, 10.0.0.0/8`; an empty one trusts nobody.

        Raises:
            ValueError: an item is no address and no network, or is everybody.
        """
        networks = [_network(item.strip()) for item in text.split(",") if item.strip()]
        self._networks = tuple(network for network in networks if network.num_addresses > 1)
        self._addresses = frozenset(str(network[0]) for network in networks if network.num_addresses == 1)
        self._is_inside = lru_cache(maxsize=KNOWN_TEXTS)(self._look)

    def __bool__(self) -> bool:
        return bool(self._networks or self._addresses)

    def trusts(self, ip: str) -> bool:
        """Tell whether an address, in canonical text, is one of these proxies."""
        return ip in self._addresses or (bool(self._networks) and self._is_inside(ip))

    def _look(self, ip: str) -> bool:
        address = ip_address(ip)
        return any(address in network for network in self._networks)


def client_ip(peer: str, forwarded: Sequence[bytes | str], trusted: TrustedProxies) -> str:
    """Return the canonical address of the caller: the first from the right that is none of our proxies.

    Args:
        peer: the other end of the socket.
        forwarded: the values of all `X-Forwarded-For` lines, in the order of the request.

    Returns:
        The peer, unless it is trusted and names its own caller; `UNKNOWN` when not even the peer has an address. When a
        proxy names nobody or nonsense, the proxy counts as the caller, so that nonsense shares one limit.
    """
    caller = _canonical(peer)
    if not forwarded or not trusted:
        return caller or UNKNOWN
    if caller is None or not trusted.trusts(caller):
        return caller or UNKNOWN
    text = ",".join(line.decode("latin-1") if isinstance(line, bytes) else line for line in forwarded)
    for hop in reversed(text.rsplit(",", HOPS_MAX)[-HOPS_MAX:]):
        if not hop.strip():
            continue
        named = _canonical(hop)
        if named is None:
            return caller
        caller = named
        if not trusted.trusts(caller):
            return caller
    return caller


@lru_cache(maxsize=KNOWN_TEXTS)
def network_of(ip: str) -> str:
    """Return the network that limits count as one caller: an IPv4 address as /32, or the /64 of an IPv6 address."""
    address = ip_address(_canonical(ip) or UNKNOWN)
    bits = address.max_prefixlen if isinstance(address, IPv4Address) else NETWORK_BITS
    return str(ip_network(f"{address}/{bits}", strict=False))


def _canonical(text: str) -> str | None:
    """Return an address in the one way to write it, without port, brackets and zone; None if it is none."""
    return _known(text) if len(text) <= HOP_CHARACTERS_MAX else None


@lru_cache(maxsize=KNOWN_TEXTS)
def _known(text: str) -> str | None:
    found = _HOP.fullmatch(text.strip(" \t"))
    if found is None:
        return None
    try:
        address = ip_address((found["bracketed"] or found["v4"] or found["bare"]).partition("%")[0])
    except ValueError:
        return None
    return str((address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address)


def _network(text: str) -> IPv4Network | IPv6Network:
    everybody = f'"{text}" would believe everybody: name the addresses of your proxies'
    if text == "*":
        raise ValueError(everybody)
    try:
        first, network = ip_address(text.partition("/")[0]), ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f'"{text}" is no IP address and no network: write 127.0.0.1 or 10.0.0.0/8') from None
    if first != network.network_address:
        raise ValueError(f'"{text}" is no network: did you mean {network}?')
    if isinstance(first, IPv6Address) and first.ipv4_mapped and network.prefixlen >= MAPPED_BITS:
        network = ip_network(f"{first.ipv4_mapped}/{network.prefixlen - MAPPED_BITS}")
    if network.prefixlen == 0:
        raise ValueError(everybody)
    return network
