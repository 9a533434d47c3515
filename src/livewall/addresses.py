"""Addresses of people and machines, as text from headers and settings."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

# Some proxies name the port too: `192.0.2.1:4711`, `[2001:db8::1]:4711`.
HOP = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)")
# One home or one rented machine gets at least a /64 and may use every address in it.
ONE_SUBSCRIBER = 64


def read_hop(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address of one entry of X-Forwarded-For, or None if it is none."""
    found = HOP.fullmatch(text)
    return parse(next(filter(None, found.groups()), "")) if found else None


def parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address without its zone, IPv4 in its own form; None if it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> IPv4Network | IPv6Network | None:
    """Return an address or a network as a network; None if it is neither."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=10_000)
def subscriber(address: str) -> str:
    """Return what stands for one subscriber where uses are counted: an IPv4, or a /64 of IPv6."""
    parsed = parse(address)
    if not isinstance(parsed, IPv6Address):
        return str(parsed or address)
    return str(IPv6Network((parsed, ONE_SUBSCRIBER), strict=False))


def is_loopback(host: str) -> bool:
    """Whether a host, without its port, is this very machine."""
    parsed = parse(host)
    if parsed is not None:
        return parsed.is_loopback
    return host == "localhost" or host.endswith(".localhost")
