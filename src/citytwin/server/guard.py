"""Who may talk to this server, and what browsers may do with its pages.

The server has no sign-in yet and listens on loopback. A web page of somebody else must not reach it all the same: the
`Host` header has to be this machine's (a foreign name that resolves to 127.0.0.1 is DNS rebinding), and a request or
WebSocket that changes or streams something has to come from our own page (`Origin` equals `Host`). There is no CORS.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from citytwin.server.encoding import Json
from citytwin.server.errors import error_body

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; worker-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; font-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "geolocation=(), camera=(), microphone=(), payment=(), usb=()",
}
LARGEST_BODY = 2**20  # bytes of a request
LARGEST: dict[str, int] = {
    "/api/readings": 8 * 2**20,
    "/api/events/earthquake": 32 * 2**20,
    "/sensorthings/v1.1/CreateObservations": 8 * 2**20,
}  # addresses with another limit
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


def hostname(host: str) -> str:
    """The name or address in a `Host` header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def is_loopback(name: str) -> bool:
    """Whether `name` is an address of this machine that no other machine reaches."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _limited(scope: Scope, receive: Receive) -> Receive:
    """`receive`, which raises (413) as soon as the body of a request is larger than its address allows."""
    if scope["type"] != "http":
        return receive
    most = LARGEST.get(scope["path"], LARGEST_BODY)
    said = Headers(scope=scope).get("content-length", "0")
    read = 0

    async def counted() -> Message:
        nonlocal read
        if said.isdecimal() and int(said) > most:
            raise HTTPException(413, f"a body of {said} bytes is too large: at most {most}")
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise HTTPException(413, f"the body is too large: at most {most} bytes")
        return message

    return counted


class Guard:
    """ASGI middleware: refuses foreign hosts and origins, adds the security headers, limits bodies.

    listens: the address the server is bound to. names: further host names that are ours, behind a proxy for example.
    origins: further origins whose pages may talk to us, a development server for example.
    """

    def __init__(
        self, app: ASGIApp, listens: str = "127.0.0.1", names: Iterable[str] = (), origins: Iterable[str] = ()
    ) -> None:
        self.app = app
        self.loopback = is_loopback(listens)
        self.names = {n.lower() for n in names} | {listens.lower()}
        self.origins = {o.rstrip("/").lower() for o in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is ours."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        problem = self._problem(scope)
        if problem:
            await self._refuse(scope, receive, send, problem)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self.app(scope, _limited(scope, receive), dressed)

    def _problem(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._ours(hostname(host)):
            return f'this server does not answer to the name "{host}"'
        origin = headers.get("origin")
        checked = scope["type"] == "websocket" or scope["method"] not in SAFE
        if checked and origin is not None and not self._same(origin, host):
            return f"pages of {origin} may not talk to this server"
        return ""

    def _ours(self, name: str) -> bool:
        if name in self.names or is_loopback(name):
            return True
        return not self.loopback and _is_address(name)

    def _same(self, origin: str, host: str) -> bool:
        if origin.rstrip("/").lower() in self.origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()

    @staticmethod
    async def _refuse(scope: Scope, receive: Receive, send: Send, problem: str) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
            return
        answer = Json(error_body("input", problem, "headers", "serve with --allow-host NAME if it is yours"), 403, HEADERS)
        await answer(scope, receive, send)
