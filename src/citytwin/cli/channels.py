"""citytwin channels: which there are, and whether they get through. citytwin journal: what happened."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import click

from citytwin.cli import show
from citytwin.errors import MissingError, OutsideError, nearest

CITY = click.argument("city", type=click.Path(path_type=Path))


@click.group()
def channels() -> None:
    """Work with a city's channels: how people are told."""


@channels.command(name="list")
@CITY
@show.json_option
def list_(city: Path, as_json: bool) -> None:
    """List the channels of CITY, without their secrets."""
    from citytwin.io.channels import read_channels

    _is_city(city)
    found = read_channels(city)
    if as_json:
        show.print_json([channel.describe() for channel in found.values()])
        return
    rows = [(name, c.describe()["kind"], c.describe()["server"], c.policy.least) for name, c in found.items()]
    show.print_table([("channel", "kind", "server", "from"), *rows])


@channels.command()
@CITY
@click.argument("name")
def test(city: Path, name: str) -> None:
    """Send a test message over channel NAME of CITY, at once; it goes into the journal."""
    from citytwin.incidents import Entry
    from citytwin.incidents.message import Message
    from citytwin.io.channels import UndeliverableError, UnsentError, read_channels
    from citytwin.io.stores.records import SqlJournal, open_records

    _is_city(city)
    known = read_channels(city)
    if name not in known:
        raise MissingError(f'no channel "{name}"', str(city), nearest(name, known))
    message = Message(name, f"Test of channel {name}", f"A test of channel {name} of {city.name}. Nothing has happened.\n",
                      {"kind": "test"})  # fmt: skip
    records = open_records(city)
    journal, subject = SqlJournal(records), f"channel/{name}"
    try:
        words = asyncio.run(known[name].send(message))
        journal.append(
            [Entry("message.sent", f"{name}: {message.title} ({words})", "command line", subject, {"key": message.key})]
        )
        print(f"sent, {words}")
    except (UnsentError, UndeliverableError) as error:
        entry = Entry("message.failed", f"{name}: {message.title}: {error}", "command line", subject, {"key": message.key})
        journal.append([entry])
        raise OutsideError(f"the message did not get through: {error}", f"channel {name}") from error
    finally:
        records.close()


@click.group()
def journal() -> None:
    """Read a city's journal: what happened, and who did it."""


@journal.command(name="show")
@CITY
@click.option("--kind", default="", help="Only this kind, as in alert or alert.opened.")
@click.option("--subject", default="", help="Only about this, as in device or device/dev-7.")
@click.option("--actor", default="", help="Only what this one did.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many.")
@show.json_option
def show_(city: Path, kind: str, subject: str, actor: str, limit: int, as_json: bool) -> None:
    """Show the newest entries of the journal of CITY."""
    from citytwin.incidents import Asked
    from citytwin.io.stores.records import SqlJournal, open_records

    _is_city(city)
    records = open_records(city)
    found = SqlJournal(records).read(Asked(kind, actor, subject, limit=limit)).entries
    records.close()
    if as_json:
        show.print_json([entry.describe() for entry in found])
        return
    rows = [(entry.id, dt.datetime.fromtimestamp(entry.time, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
             entry.kind, entry.actor, entry.text.replace("\n", " ")) for entry in found]  # fmt: skip
    show.print_table([("id", "time", "kind", "actor", "text"), *rows])


@journal.command()
@CITY
def verify(city: Path) -> None:
    """Check that no entry of the journal of CITY was changed or taken out."""
    from citytwin.io.stores.records import SqlJournal, open_records

    _is_city(city)
    records = open_records(city)
    wrong = SqlJournal(records).verify()
    records.close()
    if wrong is not None:
        raise OutsideError(f"entry {wrong} was changed, or one before it is missing", str(city))
    print("the journal is whole")


def _is_city(city: Path) -> None:
    if not (city / "city.toml").is_file():
        raise MissingError("there is no city in this folder", str(city), "a city folder has a city.toml")
