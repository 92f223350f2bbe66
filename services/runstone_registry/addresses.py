"""Where deliveries may go: the form of a URL, and which addresses are the public Internet's.

A URL's form is checked when a webhook is stored. Addresses are checked at each delivery, after the
name was resolved and on the very address that is then connected to: a name may resolve to another
one each time.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

MAX_URL = 2_048
"""Characters; what proxies and receivers take."""

MAX_HOST = 253
"""Characters of a name in DNS."""

_URL = re.compile(r"[!-~]+")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\](:\d+)?")
_NUMBER = re.compile(r"\d+|0[xX][0-9A-Fa-f]*")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            # Python calls these global, or has not always called them private.
            "100.64.0.0/10",  # shared by carriers
            "192.0.0.0/24",  # protocol assignments
            "192.88.99.0/24",  # relays of 6to4, which are gone
            "198.18.0.0/15",  # benchmarks
            "224.0.0.0/4",
            "240.0.0.0/4",
            "fec0::/10",  # site local
            "ff00::/8",
            "3fff::/20",  # documentation
            "5f00::/16",  # segment routing
            "64:ff9b:1::/48",  # NAT64 of a local network
        ),
    )
)

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_TRANSLATED = ipaddress.IPv6Network("::ffff:0:0:0/96")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads. ``host`` has no brackets; ``path`` holds the query too."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def is_public(address: Address) -> bool:
    """Whether an address is the public Internet's, and so is every one that it stands for.

    IPv6 has forms that carry an IPv4 address (mapped, compatible, translated, 6to4, NAT64,
    Teredo): a gateway may send them on to it.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        inner = _carried(address)
        if inner is not None:
            # Mapped ones are IPv4's own; networks without IPv4 reach it by NAT64. The rest is past.
            reached = address.ipv4_mapped is not None or address in _NAT64
            return reached and is_public(inner)
    if any(address.version == net.version and address in net for net in _NOT_PUBLIC):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_unspecified or address.is_reserved
    )


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        return inner
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in net for net in (_NAT64, _COMPATIBLE, _TRANSLATED)):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def parse(url: str) -> Target:
    """Where ``url`` leads. Raises ValueError, whose text reads on from the field's name."""
    if len(url) > MAX_URL:
        raise ValueError(f"must have at most {MAX_URL} characters, not {len(url)}")
    if _URL.fullmatch(url) is None or "\\" in url:
        # Others read some of these otherwise than we do; urlsplit drops tabs and newlines.
        raise ValueError("must be ASCII without blanks, backslashes and control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("must have a port from 1 to 65535, and brackets round IPv6 only") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("must begin with https://")
    if "@" in parts.netloc:
        # The text of a URL is shown to whoever lists webhooks.
        raise ValueError("must not hold a user or password")
    if "#" in url:
        raise ValueError("must not have a fragment ('#')")
    secure = parts.scheme == "https"
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("must have a port from 1 to 65535, or none")
    path = (parts.path or "/") + (f"?{parts.query}" if "?" in url else "")
    return Target(secure, _host(parts), port or (443 if secure else 80), path)


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not host:
        raise ValueError("must have a host")
    if parts.netloc.startswith("["):
        try:
            if _BRACKETED.fullmatch(parts.netloc) is None:
                raise ValueError
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise ValueError("must have an IPv6 address between the brackets") from None
    labels = host.removesuffix(".").split(".")
    if len(host) > MAX_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(
            "must have a host of letters, digits, '-', '_' and '.' (others as xn--… by IDNA)"
        )
    if _NUMBER.fullmatch(labels[-1]) is not None:
        # 127.1, 2130706433, 0x7f.1 and 0177.0.0.1 are all 127.0.0.1 to a resolver.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError("must write an IPv4 address as four decimal numbers") from None
    return host


def check(url: str, *, allow_private: bool) -> str:
    """What is wrong with the URL of a webhook, as it reads on from the field's name; "" if nothing.

    Names are not resolved here: what they say now they need not say at a delivery.
    """
    try:
        target = parse(url)
    except ValueError as error:
        return str(error)
    if allow_private:
        return ""
    if not target.secure:
        return "must begin with https://"
    try:
        address = ipaddress.ip_address(target.host)
    except ValueError:
        name = target.host.removesuffix(".").lower()
        if name == "localhost" or name.endswith(".localhost"):
            return "must not lead to this machine"
        return ""
    return "" if is_public(address) else "must not lead to an address that is not public"
