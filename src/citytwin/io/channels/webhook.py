"""Webhooks: a POST of JSON with id, time and signature, as Standard Webhooks describe (https://www.standardwebhooks.com).

The signature is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. The id is the message's key and stays the same
when it is sent again, so that a receiver can tell. Redirects are not followed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from citytwin import __version__
from citytwin.errors import MissingError
from citytwin.incidents.message import Message
from citytwin.incidents.rules.document import duration
from citytwin.io.channels.channel import UndeliverableError, UnsentError
from citytwin.io.channels.secret import without

if TYPE_CHECKING:
    from citytwin.io.channels.declared import Webhook

NEVER = (410, 413)  # gone; too large
LONGEST_WAIT = 3600.0


class WebhookChannel:
    """Posts each message to one address."""

    def __init__(self, name: str, said: Webhook) -> None:
        self.name, self.said = name, said
        self.policy = said.policy(name)
        self.attempts = said.attempts
        self.clock: Callable[[], float] = time.time

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.said.ca_file)

    def describe(self) -> dict[str, Any]:
        """The host; path and query of the address may hold a secret."""
        host = urlsplit(self.said.url).hostname if isinstance(self.said.url, str) else "kept secret"
        return {"name": self.name, "kind": "webhook", "server": host}

    async def send(self, message: Message) -> str:
        """Post the message. Raises UnsentError, UndeliverableError."""
        secrets: list[str] = []
        try:
            url = self.said.url if isinstance(self.said.url, str) else self.said.url.read()
            secret = self.said.secret.read()
            more = {name: value.read() for name, value in self.said.headers.items()}
            secrets = [url, urlsplit(url).path, secret, *more.values()]
            content = body(message)
            async with httpx.AsyncClient(
                timeout=duration(self.said.timeout), verify=self._trust, follow_redirects=False
            ) as client:
                answer = await client.post(
                    url, content=content, headers={**signed(message, content, secret, self.clock()), **more}
                )
        except MissingError as error:
            raise UnsentError(str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise UnsentError(without(f"{type(error).__name__}: {error}", *secrets)) from error
        return self._judged(answer)

    @staticmethod
    def _judged(answer: httpx.Response) -> str:
        if answer.is_success:
            return f"answered {answer.status_code}"
        if answer.status_code in NEVER:
            raise UndeliverableError(f"the receiver answered {answer.status_code}")
        try:
            wait = min(max(float(answer.headers.get("retry-after", "0")), 0.0), LONGEST_WAIT)
        except ValueError:  # a date: our own patience will do
            wait = 0.0
        raise UnsentError(f"the receiver answered {answer.status_code}", wait)


def body(message: Message) -> bytes:
    """The message as JSON."""
    said = {"type": message.data.get("kind", "message"), "timestamp": message.made, "channel": message.channel,
            "title": message.title, "text": message.text, "data": dict(message.data)}  # fmt: skip
    return json.dumps(said, separators=(",", ":"), allow_nan=False).encode()


def signed(message: Message, content: bytes, secret: str, now: float) -> dict[str, str]:
    """The headers of a signed POST."""
    stamp = str(int(now))
    digest = hmac.new(key(secret), f"{message.key}.{stamp}.".encode() + content, hashlib.sha256).digest()
    return {
        "content-type": "application/json", "user-agent": f"citytwin/{__version__}", "webhook-id": message.key,
        "webhook-timestamp": stamp, "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }  # fmt: skip


def key(secret: str) -> bytes:
    """The key that a secret stands for: `whsec_` and base64, or its characters."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error as error:
            raise ValueError("what follows whsec_ is not base64") from error
    return secret.encode()
