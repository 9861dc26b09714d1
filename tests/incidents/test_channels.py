"""Channels: mail through a real SMTP server with TLS, webhooks to a real HTTP server, apprise, and the postman between."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from citytwin.errors import InputError
from citytwin.incidents import Asked
from citytwin.incidents.message import DEAD, SENT, Message
from citytwin.io.channels import UndeliverableError, UnsentError, declared, read_channels
from citytwin.io.channels.declared import made
from citytwin.io.channels.mail import listed
from citytwin.io.stores.records import Outbox, SqlJournal, open_records
from citytwin.twin.postman import Postman, patience

HERE = Path(__file__).parent
SECRET = "whsec_" + base64.b64encode(b"a key of 24 bytes or more").decode()


def channel(name: str = "duty", **said: Any) -> Any:
    return made(name, declared({"channel": {name: said}})[name])


def a_message(number: int = 1, **said: Any) -> Message:
    alerts = [{"id": i, "event": "opened", "rule": "r", "severity": "warning", "table": "device", "key": f"dev-{i}",
               "name": f"=Gauge {i}", "value": 4.0, "unit": "m", "message": "high", "times": 1}
              for i in range(number)]  # fmt: skip
    return Message("duty", "[warning] River é high", "Gauge 7: 4 m\n", {"kind": "alerts", "alerts": alerts}, made=1e9, **said)


# -- mail --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for `localhost` that only we trust, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]  # fmt: skip
    subprocess.run(made, check=True, capture_output=True)
    return f"{folder}/cert.pem", f"{folder}/key.pem"


@pytest.fixture
def mailbox(tmp_path: Path, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """`mailbox(security)` starts a server and gives (a channel that sends to it, its folder)."""
    monkeypatch.setenv("MAIL_PASSWORD", "hush")
    processes = []

    def start(security: str, **more: Any) -> tuple[Any, Path]:
        folder = tmp_path / security
        folder.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, HERE / "smtp_server.py", security, *certificate, folder], stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout is not None
        port = int(process.stdout.readline())
        said = {"kind": "email", "to": ["duty@city.example"], "sender": "twin@city.example", "host": "localhost", "port": port,
                "security": security, "ca_file": certificate[0], "timeout": "10 s"}  # fmt: skip
        if security != "none":
            said |= {"user": "twin", "password": {"env": "MAIL_PASSWORD"}}
        return channel(**{**said, **more}), folder

    yield start
    for process in processes:
        process.terminate()
        process.wait(10)


def read_mail(folder: Path, number: int = 0) -> Any:
    return email.message_from_bytes((folder / f"{number}.eml").read_bytes(), policy=email.policy.default)


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_a_mail_arrives_whole_over_each_kind_of_connection(mailbox: Any, security: str) -> None:
    to, folder = mailbox(security)
    message = a_message(3, key="k1", urgent=True)
    assert asyncio.run(to.send(message)) == "to 1 addresses"
    letter = read_mail(folder)
    assert letter["subject"] == "[warning] River é high"
    assert letter["message-id"] == "<k1@city.example>"
    assert letter["auto-submitted"] == "auto-generated"
    assert letter.get_content().splitlines() == ["Gauge 7: 4 m"]
    assert (folder / "0.to").read_text().split() == ["twin@city.example", "duty@city.example"]


def test_a_long_list_comes_as_a_file_that_no_spreadsheet_runs(mailbox: Any) -> None:
    to, folder = mailbox("tls")
    asyncio.run(to.send(a_message(10_000)))
    parts = list(read_mail(folder).iter_attachments())
    assert parts[0].get_filename() == "alerts.csv"
    lines = parts[0].get_content().splitlines()
    assert len(lines) == 10_001
    assert lines[1].split(",")[6] == "'=Gauge 0"
    assert listed([{"id": 1, "value": -3.5}]).splitlines()[1].split(",")[7] == "-3.5"


def test_a_wrong_password_is_tried_again_and_never_shown(mailbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    to, _ = mailbox("starttls")
    monkeypatch.setenv("MAIL_PASSWORD", "open-sesame")
    with pytest.raises(UnsentError) as caught:
        asyncio.run(to.send(a_message()))
    assert "open-sesame" not in str(caught.value)
    assert "535" in str(caught.value)
    monkeypatch.delenv("MAIL_PASSWORD")
    with pytest.raises(UnsentError, match="MAIL_PASSWORD is not set"):
        asyncio.run(to.send(a_message()))


def test_a_server_that_nobody_vouches_for_gets_no_password(mailbox: Any) -> None:
    to, folder = mailbox("tls", ca_file=None)
    with pytest.raises(UnsentError, match="certificate verify failed"):
        asyncio.run(to.send(a_message()))
    assert list(folder.iterdir()) == []


def test_a_server_without_tls_gets_no_mail_where_tls_is_declared(mailbox: Any) -> None:
    plain, folder = mailbox("none")
    to = channel(kind="email", to=["a@b.example"], sender="t@b.example", host="localhost", port=plain.said.port, timeout="5 s")
    with pytest.raises(UnsentError):
        asyncio.run(to.send(a_message()))
    assert list(folder.iterdir()) == []


def test_an_address_that_does_not_exist_is_final_and_a_full_box_is_not(mailbox: Any) -> None:
    some, folder = mailbox("none", to=["nobody@b.example", "duty@b.example"])
    assert "refused: nobody@b.example" in asyncio.run(some.send(a_message()))
    assert len(list(folder.glob("*.eml"))) == 1
    none, _ = mailbox("none", to=["nobody@b.example"])
    with pytest.raises(UndeliverableError):
        asyncio.run(none.send(a_message()))
    full, _ = mailbox("none", to=["full@b.example"])
    with pytest.raises(UnsentError, match="452"):
        asyncio.run(full.send(a_message()))


def test_a_server_that_is_not_there_is_tried_again() -> None:
    to = channel(kind="email", to=["a@b.example"], sender="t@b.example", host="127.0.0.1", port=1, security="none")
    with pytest.raises(UnsentError):
        asyncio.run(to.send(a_message()))


# -- webhooks ----------------------------------------------------------------------------------------------------------


class Receiver(ThreadingHTTPServer):
    """A real HTTP server that keeps what it got. `answers`: status codes (and headers) to give, then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook/token-in-path"


class Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        server: Any = self.server
        server.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
        status, headers = server.answers.pop(0) if server.answers else (200, {})
        self.send_response(status)
        for name, value in {**headers, "content-length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def hook(receiver: Receiver, **more: Any) -> Any:
    return channel(kind="webhook", url=receiver.url, secret={"env": "HOOK_SECRET"}, timeout="5 s", **more)


def test_a_webhook_is_signed_so_that_the_receiver_can_tell(receiver: Receiver) -> None:
    asyncio.run(hook(receiver).send(a_message(2, key="k9")))
    headers, body = receiver.got[0]
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"a key of 24 bytes or more", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    said = json.loads(body)
    assert (headers["webhook-id"], said["type"], len(said["data"]["alerts"])) == ("k9", "alerts", 2)


def test_the_signature_is_that_of_the_published_example() -> None:
    # msg_p5jXN8AQM9LWM0D4loKWxJek and its payload: test vector of the Standard Webhooks libraries (from knowledge, not re-read)
    from citytwin.io.channels.webhook import signed

    vector = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    content = b'{"test": 2432232314}'
    headers = signed(
        Message("c", "t", "x", key=vector),
        content,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        1614265330,
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("status", "error"), [(500, UnsentError), (404, UnsentError), (302, UnsentError), (410, UndeliverableError)]
)
def test_an_answer_that_is_no_success_is_tried_again_or_final(receiver: Receiver, status: int, error: type[Exception]) -> None:
    receiver.answers = [(status, {"location": receiver.url} if status == 302 else {})]
    with pytest.raises(error, match=str(status)):
        asyncio.run(hook(receiver).send(a_message()))
    assert len(receiver.got) == 1  # a redirect is not followed


def test_a_receiver_may_ask_for_patience(receiver: Receiver) -> None:
    receiver.answers = [
        (429, {"retry-after": "120"}),
        (503, {"retry-after": "1e9"}),
        (503, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}),
    ]
    for expected in (120.0, 3600.0, 0.0):
        with pytest.raises(UnsentError) as caught:
            asyncio.run(hook(receiver).send(a_message()))
        assert caught.value.wait == expected


def test_no_answer_or_problem_shows_a_secret(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_URL", "http://127.0.0.1:1/secret-path")
    to = channel(kind="webhook", url={"env": "HOOK_URL"}, secret={"env": "HOOK_SECRET"})
    with pytest.raises(UnsentError) as caught:
        asyncio.run(to.send(a_message()))
    shown = f"{caught.value} {to.describe()} {hook(receiver).describe()} {to!r}"
    assert "secret-path" not in shown
    assert "token-in-path" not in shown
    assert SECRET not in shown


# -- declarations ------------------------------------------------------------------------------------------------------

MAIL = {"kind": "email", "to": ["a@b.example"], "sender": "t@b.example", "host": "mail.b.example"}


@pytest.mark.parametrize(("said", "words"), [
    ({"kind": "emial"}, "email"),
    ({**MAIL, "hots": "x"}, "host"),
    ({**MAIL, "password": "hush"}, "does not stand in the file"),
    ({**MAIL, "password": {"env": "A", "file": "B"}}, "where is the secret"),
    ({**MAIL, "to": ["no address"]}, "to.0"),
    ({**MAIL, "to": ["a@b.example\nbcc: c@d.example"]}, "to.0"),
    ({**MAIL, "gather": "10 kg"}, "does not measure"),
    ({**MAIL, "least": "grave"}, "least"),
    ({"kind": "webhook", "url": "ftp://x", "secret": {"env": "A"}}, "url"),
    ({"kind": "webhook", "url": "https://x.example"}, "secret"),
])  # fmt: skip
def test_a_wrong_channel_is_refused_with_the_place_and_no_secret(said: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        declared({"channel": {"duty": said}})
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_city_without_channels_has_none_and_a_disabled_one_is_left_out(tmp_path: Path) -> None:
    assert read_channels(tmp_path) == {}
    (tmp_path / "channels.toml").write_text(
        '[channel.duty]\nkind = "email"\nto = ["a@b.example"]\nsender = "t@b.example"\nhost = "h"\nenabled = false\n'
    )
    assert read_channels(tmp_path) == {}
    (tmp_path / "channels.toml").write_text("[channel")
    with pytest.raises(InputError, match="TOML"):
        read_channels(tmp_path)


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path, receiver: Receiver) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    to = channel(kind="webhook", url=receiver.url, secret={"file": str(tmp_path / "secret")})
    assert asyncio.run(to.send(a_message())) == "answered 200"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apprise imports imghdr
def test_apprise_carries_a_message(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("apprise")
    monkeypatch.setenv("CHAT_URLS", receiver.url.replace("http://", "json://"))
    to = channel(kind="apprise", urls={"env": "CHAT_URLS"})
    assert asyncio.run(to.send(a_message())) == "to 1 services"
    assert json.loads(receiver.got[0][1])["title"] == "[warning] River é high"
    receiver.answers = [(500, {})]
    with pytest.raises(UnsentError):
        asyncio.run(to.send(a_message()))
    monkeypatch.setenv("CHAT_URLS", "nonsense://x")
    with pytest.raises(UnsentError, match="cannot read 1 of 1"):
        asyncio.run(to.send(a_message()))


# -- the postman -------------------------------------------------------------------------------------------------------


def posted(folder: Path, to: Any, number: int, seconds: float, until: Callable[[Outbox], bool]) -> tuple[Outbox, SqlJournal]:
    """A postman at work on `number` new messages until the outbox is as it should, or the time is up."""
    records = open_records(folder)
    journal, outbox = SqlJournal(records), Outbox(records)
    journal.append([], [a_message(key=f"k{i}") for i in range(number)])

    async def run() -> None:
        task = asyncio.create_task(Postman(outbox, journal, {to.name: to}).run())
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until(outbox):
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    return outbox, journal


def test_what_fails_is_tried_again_and_every_try_is_in_the_journal(
    tmp_path: Path, receiver: Receiver, monkeypatch: Any
) -> None:
    monkeypatch.setattr("citytwin.twin.postman.FIRST_WAIT", 0.05)
    monkeypatch.setattr("citytwin.twin.postman.LOOK_SECONDS", 0.05)
    receiver.answers = [(500, {}), (503, {})]
    outbox, journal = posted(tmp_path, hook(receiver), 1, 20, lambda box: box.counts().get(SENT) == 1)
    assert outbox.counts() == {SENT: 1}
    entries = journal.read(Asked(kind="message", oldest_first=True)).entries
    assert [e.kind for e in entries] == ["message.failed", "message.failed", "message.sent"]
    assert {h["webhook-id"] for h, _ in receiver.got} == {"k0"}
    assert [e.data["attempt"] for e in entries] == [1, 2, 3]


def test_after_so_many_tries_a_message_is_dead_and_can_be_brought_back(
    tmp_path: Path, receiver: Receiver, monkeypatch: Any
) -> None:
    monkeypatch.setattr("citytwin.twin.postman.FIRST_WAIT", 0.01)
    monkeypatch.setattr("citytwin.twin.postman.LOOK_SECONDS", 0.02)
    receiver.answers = [(500, {})] * 3
    outbox, journal = posted(tmp_path, hook(receiver, attempts=3), 1, 20, lambda box: box.counts().get(DEAD) == 1)
    assert outbox.counts() == {DEAD: 1}
    assert journal.read(Asked(limit=1)).entries[0].kind == "message.dead"
    assert outbox.again(outbox.messages()[0].id, time.time())
    outbox, _ = posted(tmp_path, hook(receiver), 0, 20, lambda box: box.counts().get(SENT) == 1)
    assert outbox.counts() == {SENT: 1}


def test_messages_for_a_channel_that_is_gone_are_given_up_in_words(tmp_path: Path, receiver: Receiver) -> None:
    outbox, journal = posted(tmp_path, channel("other", **MAIL), 2, 20, lambda box: box.counts().get(DEAD) == 2)
    assert outbox.counts() == {DEAD: 2}
    assert "no longer declared" in journal.read(Asked(kind="message.dead")).entries[0].text


def test_patience_grows_to_a_quarter_of_an_hour() -> None:
    waits = [patience(a_message(key="k", attempts=n)) for n in range(1, 15)]
    assert 5 <= waits[0] <= 6
    assert all(later > earlier for earlier, later in pairwise(waits[:8]))
    assert all(900 <= wait <= 1080 for wait in waits[9:])
    assert len({patience(a_message(key=f"k{i}", attempts=3)) for i in range(50)}) > 20


PROGRAM = """
import asyncio, sys
from pathlib import Path
from citytwin.incidents.message import Message
from citytwin.io.channels.declared import declared, made
from citytwin.io.stores.records import Outbox, SqlJournal, open_records
from citytwin.twin import postman
postman.LOOK_SECONDS = 0.05
folder, url, first, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
to = made("duty", declared({"channel": {"duty": {"kind": "webhook", "url": url, "secret": {"env": "HOOK_SECRET"}}}})["duty"])
records = open_records(folder)
journal, outbox = SqlJournal(records), Outbox(records)
async def run():
    work = asyncio.create_task(postman.Postman(outbox, journal, {"duty": to}).run())
    for i in range(first, first + number):
        await asyncio.to_thread(journal.append, [], [Message("duty", "t", "x", key=f"k{i}")])
        print(i, flush=True)
    await work
asyncio.run(run())
"""


def test_killed_again_and_again_every_message_arrives_under_one_key(tmp_path: Path, receiver: Receiver) -> None:
    promised = 0
    for round_ in range(2):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), receiver.url, str(promised), "500"],
                                   stdout=subprocess.PIPE, text=True, env={**os.environ, "HOOK_SECRET": SECRET})  # fmt: skip
        assert process.stdout is not None
        for _ in range(10 + 7 * round_):
            promised = int(process.stdout.readline()) + 1
        process.send_signal(signal.SIGKILL)
        promised = max([promised, *(int(line) + 1 for line in process.stdout.read().split())])
        process.wait()
    outbox, journal = posted(tmp_path, hook(receiver), 0, 30, lambda box: set(box.counts()) == {SENT})
    got = [headers["webhook-id"] for headers, _ in receiver.got]
    kept = {m.key for m in outbox.messages(limit=10_000)}
    assert {f"k{i}" for i in range(promised)} <= kept
    assert set(got) == kept
    assert len(got) - len(set(got)) <= 2  # at most the one that was on its way at each kill
    assert journal.verify() is None
