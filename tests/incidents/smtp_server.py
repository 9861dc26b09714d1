"""A real SMTP server in a process of its own: `python smtp_server.py SECURITY CERTIFICATE KEY FOLDER`.

SECURITY is starttls, tls or none. Signing in is demanded (user `twin`, password `hush`) unless none. Each mail becomes a file
of FOLDER. Addresses that begin with `full` get 452, those that begin with `nobody` get 550. Prints its port when it listens.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Box:
    """Takes mail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 no such mailbox"
        if address.startswith("full"):
            return "452 mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        number = len(list(self.folder.glob("*.eml")))
        (self.folder / f"{number}.eml").write_bytes(envelope.content)
        (self.folder / f"{number}.to").write_text("\n".join([envelope.mail_from, *envelope.rcpt_tos]))
        return "250 taken"


def signed_in(server, session, envelope, mechanism, said) -> AuthResult:
    good = isinstance(said, LoginPassword) and (said.login, said.password) == (b"twin", b"hush")
    return AuthResult(success=good, handled=False)


async def serve(security: str, certificate: str, key: str, folder: Path) -> None:
    context = None
    if security != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    safe = {"authenticator": signed_in, "auth_required": True, "auth_require_tls": security == "starttls"} if context else {}
    if security == "starttls":
        safe |= {"tls_context": context, "require_starttls": True}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Box(folder), hostname="localhost", loop=loop, **safe),
        "127.0.0.1",
        0,
        ssl=context if security == "tls" else None,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4], Path(sys.argv[4])))
