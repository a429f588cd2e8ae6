"""Where a request comes from: address, scheme and name, behind declared proxies only."""

import ipaddress
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What is believed of a request's way here."""

    address: str
    """The client's; behind a declared proxy, the one that proxy names."""
    scheme: str
    host: str
    """As the client wrote it, lower case."""
    headers: Mapping[str, str]
    direct: bool
    """Whether it came without a declared proxy."""
    forwarded: bool
    """Whether a proxy, declared or not, left its headers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginRules:
    """Which names are answered and which proxies are believed."""

    names: frozenset[str] = frozenset(LOOPBACK_NAMES)
    proxies: tuple[Network, ...] = ()

    def of(self, scope: MutableMapping[str, Any]) -> Origin:
        """Read a request's way from its connection and, behind a declared proxy, its headers."""
        headers: dict[str, str] = {}
        for raw_name, raw in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw.decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        address = scope["client"][0] if scope.get("client") else ""
        direct = not self._is_proxy(address)
        scheme = scope["scheme"]
        if not direct:
            scheme = headers.get("x-forwarded-proto", "http").rpartition(",")[2].strip().lower()
            address = self._client_behind(headers.get("x-forwarded-for", ""), address)
        return Origin(
            address=address,
            scheme="https" if scheme == "https" else "http",
            host=headers.get("host", "").lower(),
            headers=headers,
            direct=direct,
            forwarded=any(name in headers for name in _FORWARDED),
        )

    def names_us(self, origin: Origin) -> bool:
        """Whether the name that was called is ours: a foreign one was rebound to our address."""
        host = origin.host
        bracket = host.startswith("[")
        name = host[: host.find("]") + 1] if bracket else host.partition(":")[0]
        return name in self.names

    def is_here(self, origin: Origin) -> bool:
        """Whether it comes from this machine, without any proxy between."""
        return origin.direct and not origin.forwarded and _is_loopback(origin.address)

    def is_private(self, origin: Origin) -> bool:
        """Whether nobody can listen: HTTPS, or this machine talking to itself."""
        return origin.scheme == "https" or (
            origin.direct and not origin.forwarded and _is_loopback(origin.address)
        )

    def same_origin(self, origin: Origin) -> bool:
        """Whether a request that changes something comes from our own page, or from no page.

        Browsers send ``Sec-Fetch-Site`` where the connection is private and ``Origin`` with every
        POST; a program that sends neither carries no cookie that was not given to it.
        """
        site = origin.headers.get("sec-fetch-site")
        if site is not None and site not in ("same-origin", "none"):
            return False
        text = origin.headers.get("origin")
        if text is None:
            return site is not None or "cookie" not in origin.headers
        page = urlsplit(text.lower())
        return page.scheme == origin.scheme and page.netloc == origin.host

    def _is_proxy(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self.proxies)

    def _client_behind(self, chain: str, proxy: str) -> str:
        """The last address that is no declared proxy; what stands before it is hearsay."""
        for text in reversed([part.strip() for part in chain.split(",") if part.strip()]):
            if _address(text) is None:
                return proxy
            if not self._is_proxy(text):
                return text
        return proxy


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_loopback(text: str) -> bool:
    address = _address(text)
    return address is not None and address.is_loopback
