"""The declaration of channels: `channels.toml` in the city folder, one table `[channel.NAME]` each.

Channels are declared by who owns the folder and never over HTTP, so that nobody who only reaches the server can make it talk
to an address of his choice.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictStr, TypeAdapter, ValidationError, field_validator

from citytwin.city.query import Form
from citytwin.errors import InputError, nearest
from citytwin.incidents.digest import Policy
from citytwin.incidents.rules.document import Severity, check_name, duration
from citytwin.io.channels.channel import Channel
from citytwin.io.channels.secret import Secret

FILE = "channels.toml"
Event = Literal["opened", "escalated", "closed"]
Address = Annotated[str, Field(pattern=r"^[^\s@<>,;\x00-\x1f]+@[^\s@<>,;\x00-\x1f]+$", max_length=320)]
Host = Annotated[str, Field(min_length=1, max_length=255)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Declared(Form):
    """What every channel declares: how grave an alert must be for it, what it is told, how often at most."""

    enabled: StrictBool = True
    standard: StrictBool = True
    least: Severity = "warning"
    tell: Annotated[tuple[Literal["opened", "escalated", "closed"], ...], Field(min_length=1)] = (
        "opened",
        "escalated",
        "closed",
    )
    gather: StrictStr = "10 s"
    most: Annotated[int, Field(ge=1, le=100_000)] = 12
    span: StrictStr = "1 h"
    urgent: Severity | Literal[""] = "critical"
    urgent_gap: StrictStr = "1 min"
    attempts: Annotated[int, Field(ge=1, le=100)] = 12
    timeout: StrictStr = "20 s"
    ca_file: StrictStr | None = None

    @field_validator("gather", "span", "urgent_gap", "timeout")
    @classmethod
    def _time(cls, said: str) -> str:
        duration(said)
        return said

    def policy(self, name: str) -> Policy:
        """The same for the digests."""
        return Policy(name, self.least, self.tell, duration(self.gather), self.most, duration(self.span), self.urgent,
                      duration(self.urgent_gap), self.standard)  # fmt: skip


class Email(Declared):
    """E-mail over SMTP. security: `starttls` (port 587), `tls` (465) or `none` (25, only for a server on this machine)."""

    kind: Literal["email"]
    to: Annotated[list[Address], Field(min_length=1, max_length=100)]
    sender: Address
    host: Host
    port: Port | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: StrictStr | None = None
    password: Secret | None = None


class Webhook(Declared):
    """A POST of JSON, signed as Standard Webhooks say. url: the address, or where it stands if it is a secret itself."""

    kind: Literal["webhook"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2000)] | Secret
    secret: Secret
    headers: Annotated[dict[StrictStr, Secret], Field(max_length=20, default_factory=dict)]


class Apprise(Declared):
    """Whatever apprise speaks (chat, SMS gateways ...); the URLs hold secrets. Needs the extra `channels`."""

    kind: Literal["apprise"]
    urls: Secret


KINDS: dict[str, type[Declared]] = {"email": Email, "webhook": Webhook, "apprise": Apprise}


def declared(said: Any, where: str = FILE) -> dict[str, Declared]:
    """The channels of a document `{"channel": {name: channel}}`. Raises InputError."""
    if not isinstance(said, dict) or set(said) - {"channel"} or not isinstance(said.get("channel", {}), dict):
        extra = next(iter(set(said) - {"channel"}), "channel") if isinstance(said, dict) else ""
        raise InputError(f'entry "{extra}" is not known', where, "every channel is a table [channel.NAME]")
    return {check_name(name, where): _one(each, f"{where}: channel.{name}") for name, each in said.get("channel", {}).items()}


def _one(said: Any, where: str) -> Declared:
    kind = said.get("kind") if isinstance(said, dict) else None
    if kind not in KINDS:
        raise InputError(f'no kind of channel "{kind}"', where, nearest(str(kind), KINDS))
    try:
        made: Declared = TypeAdapter(KINDS[str(kind)]).validate_python(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InputError(str(first["msg"]), ".".join([where, *(str(part) for part in first["loc"])])) from error
    return made


def read_channels(folder: Path) -> dict[str, Channel]:
    """The enabled channels of a city folder; none where it has no `channels.toml`. Raises InputError."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is not TOML: {error}", str(path)) from error
    return {name: made(name, each, folder.name) for name, each in declared(said, str(path)).items() if each.enabled}


def made(name: str, said: Declared, city: str = "") -> Channel:
    """The channel that a declaration describes."""
    from citytwin.io.channels.chat import AppriseChannel
    from citytwin.io.channels.mail import EmailChannel
    from citytwin.io.channels.webhook import WebhookChannel

    if isinstance(said, Email):
        return EmailChannel(name, said)
    if isinstance(said, Webhook):
        return WebhookChannel(name, said)
    assert isinstance(said, Apprise)
    return AppriseChannel(name, said)
