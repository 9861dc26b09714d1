"""E-mail over SMTP with STARTTLS or TLS, and signing in: `aiosmtplib` speaks, `email` writes."""

from __future__ import annotations

import csv
import datetime as dt
import io
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import aiosmtplib

from citytwin.errors import MissingError
from citytwin.incidents.digest import LINES
from citytwin.incidents.message import Message
from citytwin.incidents.rules.document import duration
from citytwin.io.channels.channel import UndeliverableError, UnsentError
from citytwin.io.channels.secret import without

if TYPE_CHECKING:
    from citytwin.io.channels.declared import Email

PORTS = {"starttls": 587, "tls": 465, "none": 25}
FIELDS = ("id", "event", "rule", "severity", "table", "key", "name", "value", "unit", "message", "times")
PERMANENT = range(500, 600)  # SMTP replies that mean never (RFC 5321, 4.2.1)
NOT_THE_MESSAGE = (530, 534, 535, 538, 554)  # of which these are about signing in or the connection: mended, it goes through


class EmailChannel:
    """Sends each message to all addresses of a channel."""

    def __init__(self, name: str, said: Email) -> None:
        self.name, self.said = name, said
        self.policy = said.policy(name)
        self.attempts = said.attempts

    def describe(self) -> dict[str, Any]:
        """Who gets it and through which server."""
        port = self.said.port or PORTS[self.said.security]
        return {"name": self.name, "kind": "email", "to": list(self.said.to), "server": f"{self.said.host}:{port}",
                "security": self.said.security}  # fmt: skip

    async def send(self, message: Message) -> str:
        """Hand the message to the server. Raises UnsentError, UndeliverableError."""
        said = self.said
        try:
            password = said.password.read() if said.password else None
            refused, _ = await aiosmtplib.send(
                self.letter(message), hostname=said.host, port=said.port or PORTS[said.security], username=said.user,
                password=password, timeout=duration(said.timeout), use_tls=said.security == "tls",
                start_tls=said.security == "starttls", tls_context=self._context(),
            )  # fmt: skip
        except MissingError as error:
            raise UnsentError(str(error)) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [each.code for each in error.recipients]
            words = f"all addresses were refused: {', '.join(str(code) for code in codes)}"
            raise (UndeliverableError if all(code in PERMANENT for code in codes) else UnsentError)(words) from error
        except aiosmtplib.SMTPResponseException as error:
            final = error.code in PERMANENT and error.code not in NOT_THE_MESSAGE
            words = without(f"the server said {error.code} {error.message}", password or "")
            raise (UndeliverableError if final else UnsentError)(words) from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise UnsentError(without(f"{type(error).__name__}: {error}", password or "")) from error
        return f"to {len(said.to) - len(refused)} addresses" + (f", refused: {', '.join(refused)}" if refused else "")

    def _context(self) -> ssl.SSLContext | None:
        return None if self.said.security == "none" else ssl.create_default_context(cafile=self.said.ca_file)

    def letter(self, message: Message) -> EmailMessage:
        """The message as a letter; more alerts than its text lists come as a CSV file."""
        letter = EmailMessage()
        letter["Subject"] = " ".join(message.title.split())[:200]
        letter["From"] = self.said.sender
        letter["To"] = ", ".join(self.said.to)
        letter["Date"] = format_datetime(_moment(message.made))
        letter["Message-ID"] = f"<{message.key}@{self.said.sender.rpartition('@')[2]}>"
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers from machines
        if message.urgent:
            letter["X-Priority"] = "1"
        letter.set_content(message.text)
        alerts = message.data.get("alerts", [])
        if len(alerts) > LINES:
            letter.add_attachment(listed(alerts).encode(), maintype="text", subtype="csv", filename="alerts.csv")
        return letter


def listed(alerts: list[dict[str, Any]]) -> str:
    """Alerts as CSV. Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(FIELDS)
    writer.writerows([_harmless(alert.get(field, "")) for field in FIELDS] for alert in alerts)
    return out.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
