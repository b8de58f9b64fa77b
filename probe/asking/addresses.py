"""Whether a host lies inside: where nobody but an administrator may make the workers call."""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

from probe.asking.connection import EndpointError

NAT64 = IPv6Network("64:ff9b::/96")  # its last 32 bits are an IPv4 address (RFC 6052)
COMPATIBLE = IPv6Network("::/96")  # so are these (RFC 4291, long deprecated)


def is_internal(host: str, resolve: Callable[..., Any] = socket.getaddrinfo) -> bool:
    """Return whether a host name or address leads to anything but public addresses, or nowhere at all.

    The system's resolver decides what a name means, so that 127.1, 0x7f000001 and 2130706433 are what they are to a
    client. One internal address among several is enough: nobody knows which one a client takes.
    """
    try:
        found = resolve(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # an unknown name; one that no name can be
        return True
    addresses = [ip_address(address[0].partition("%")[0]) for *_, address in found]
    return not addresses or not all(map(_is_public, addresses))


def check_public(url: str) -> None:
    """Raise EndpointError where a URL leads inside."""
    if is_internal(urlsplit(url).hostname or ""):
        raise EndpointError(
            f"{url}: this leads to an internal address, and who added it may not make the workers call one; an"
            " administrator can add the model with allow_internal, or by `probe models add`"
        )


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is public, and so is the IPv4 address inside of it, if there is one."""
    if isinstance(address, IPv6Address):
        inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in NAT64 or address in COMPATIBLE:
            inside.append(IPv4Address(int(address) & 0xFFFFFFFF))
        if not all(_is_public(inner) for inner in inside if inner is not None):
            return False
        if address.ipv4_mapped or address in NAT64:
            return True
    return address.is_global and not address.is_multicast and not address.is_reserved
