"""The journal and the outbox: kept all or none, never changed, read by pages, the same in SQLite and PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from citytwin.errors import InputError, OutsideError
from citytwin.incidents import Asked, Entry
from citytwin.incidents.message import DEAD, SENT, Message
from citytwin.io.stores.records import Outbox, Records, SqlJournal, open_records
from citytwin.io.stores.records.tables import journal as table
from citytwin.io.stores.records.tables import metadata


def some(number: int, kind: str = "alert.opened", subject: str = "alert") -> list[Entry]:
    return [Entry(kind, f"line {i}", subject=f"{subject}/{i}", time=float(i), data={"i": i}) for i in range(number)]


def test_entries_come_back_as_they_were_written(records: Records) -> None:
    book = SqlJournal(records)
    given = Entry(
        "sign.set", "Text ăé 漢 set\nby hand", "ada", "device/sign-1", {"page": 3, "list": [1.5, None, "x"]}, 1e9 + 0.123
    )
    kept = book.append([given])
    assert kept[0].id == 1
    assert book.read(Asked()).entries == kept
    assert kept[0].data == given.data
    assert kept[0].time == given.time


def test_ids_are_gapless_also_when_an_append_fails_in_between(records: Records) -> None:
    book = SqlJournal(records)
    book.append(some(2))
    with pytest.raises(OutsideError):
        book.append(some(1), [Message("duty", "t", "x", data={}, key=None)])  # type: ignore[arg-type]
    assert [e.id for e in book.append(some(2))] == [3, 4]
    assert book.verify() is None


def test_an_entry_and_its_message_are_kept_both_or_neither(records: Records) -> None:
    book, box = SqlJournal(records), Outbox(records)
    with pytest.raises(OutsideError):
        book.append(some(3), [Message("duty", "t", "x", key="a"), Message("duty", "t", "x", key=None)])  # type: ignore[arg-type]
    assert book.read(Asked()).entries == []
    assert box.messages() == []


def test_pages_hold_every_entry_once_in_either_direction(records: Records) -> None:
    book = SqlJournal(records)
    book.append(some(23))
    for oldest_first in (False, True):
        seen: list[int] = []
        at: int | None = None
        while True:
            asked = Asked(
                limit=5, oldest_first=oldest_first, **({} if at is None else {"after" if oldest_first else "before": at})
            )
            page = book.read(asked)
            seen += [e.id for e in page.entries]
            at = page.next
            if at is None:
                break
        assert seen == sorted(range(1, 24), reverse=not oldest_first)


def test_filters_all_hold_at_once(records: Records) -> None:
    book = SqlJournal(records)
    book.append([*some(5), *some(5, "alert_x", "alerting"), *some(5, "alert", "alert")])
    book.append([Entry("alert.closed", "50% Done_", "ada", "alert/1", time=100)])
    assert {e.kind for e in book.read(Asked(kind="alert")).entries} == {"alert.opened", "alert", "alert.closed"}
    assert len(book.read(Asked(kind="alert.opened")).entries) == 5
    assert len(book.read(Asked(subject="alert")).entries) == 11
    assert len(book.read(Asked(subject="alert/1")).entries) == 3
    assert len(book.read(Asked(subject="alert/1", kind="alert.opened")).entries) == 1
    assert len(book.read(Asked(begin=2, end=4)).entries) == 6
    assert [e.actor for e in book.read(Asked(words="50% done_")).entries] == ["ada"]
    assert book.read(Asked(words="%")).entries == book.read(Asked(actor="ada")).entries


def test_the_database_itself_refuses_to_change_or_delete_a_line(records: Records) -> None:
    SqlJournal(records).append(some(3))
    for statement in (table.update().values(text="never happened"), table.delete()):
        with pytest.raises(OutsideError, match="only appended"), records.write() as connection:
            connection.execute(statement)


@pytest.mark.parametrize("harm", [
    "update journal set text = 'x' where id = 3",
    "update journal set time = time + 1 where id = 3",
    "delete from journal where id = 3",
])  # fmt: skip
def test_a_line_changed_or_removed_behind_our_back_is_found(tmp_path: Path, harm: str) -> None:
    records = open_records(tmp_path)
    book = SqlJournal(records)
    book.append(some(5))
    with records.write() as connection:
        connection.exec_driver_sql("drop trigger journal_no_update")
        connection.exec_driver_sql("drop trigger journal_no_delete")
        connection.exec_driver_sql(harm)
    assert book.verify() == 3


def test_a_tail_cut_off_is_found(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    book = SqlJournal(records)
    book.append(some(5))
    with records.write() as connection:
        connection.exec_driver_sql("drop trigger journal_no_delete")
        connection.exec_driver_sql("delete from journal where id = 5")
    assert book.verify() == 5


def test_threads_that_append_at_once_make_one_whole_chain(records: Records) -> None:
    book = SqlJournal(records)
    threads = [threading.Thread(target=lambda: [book.append(some(3)) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert book.verify() is None
    assert [e.id for e in book.read(Asked(limit=1)).entries] == [120]


def test_migrations_make_exactly_the_declared_tables(records: Records) -> None:
    with records.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
    assert found == []


def test_records_open_again_with_what_they_held(tmp_path: Path) -> None:
    first = open_records(tmp_path)
    SqlJournal(first).append(some(3))
    first.close()
    again = open_records(tmp_path)
    assert len(SqlJournal(again).read(Asked()).entries) == 3
    again.close()


def test_records_of_a_newer_citytwin_are_refused_in_one_line(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    with records.write() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    records.close()
    with pytest.raises(OutsideError, match="newer"):
        open_records(tmp_path)


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="no database"):
        open_records("mysql://host/x")
    with pytest.raises(InputError, match="URL"):
        open_records("what?")


def test_a_url_in_the_environment_takes_the_place_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYTWIN_RECORDS", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    records = open_records(tmp_path / "city")
    SqlJournal(records).append(some(1))
    records.close()
    assert (tmp_path / "elsewhere.db").is_file()
    assert not (tmp_path / "city").exists()


def test_a_listener_that_fails_does_not_undo_what_is_kept(records: Records) -> None:
    book = SqlJournal(records)
    heard: list[int] = []

    def broken(entries: object) -> None:
        raise ValueError("broken")

    book.told += [broken, lambda entries: heard.extend(e.id for e in entries)]
    assert book.append(some(2))[-1].id == 2
    assert heard == [1, 2]


def test_a_password_never_shows_in_an_error(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(OutsideError) as caught:
        open_records("postgresql://ada:hush@127.0.0.1:1/none")
    assert "hush" not in str(caught.value)


def test_a_claimed_message_is_nobody_elses_until_the_claim_runs_out(records: Records) -> None:
    box = Outbox(records)
    SqlJournal(records).append(some(1), [Message("duty", "t", "x", key=f"k{i}", due=0) for i in range(3)])
    first = box.claim(2, seconds=60, now=1000)
    assert [m.key for m in first] == ["k0", "k1"]
    assert [m.key for m in box.claim(9, seconds=60, now=1001)] == ["k2"]
    assert box.claim(9, now=1059) == []
    again = box.claim(9, now=1060)
    assert [(m.key, m.attempts) for m in again] == [("k0", 2), ("k1", 2)]


def test_a_message_whose_key_is_known_is_put_once(records: Records) -> None:
    book, box = SqlJournal(records), Outbox(records)
    for _ in range(3):
        book.append(some(1), [Message("duty", "t", "x", key="same")])
    assert len(box.messages()) == 1


def test_sent_dead_and_waiting_messages_are_told_apart(records: Records) -> None:
    book, box = SqlJournal(records), Outbox(records)
    book.append([], [Message("duty", "t", "x", key=f"k{i}") for i in range(3)])
    sent, failed, dead = box.claim(now=10)
    box.sent(sent, [Entry("message.sent", "sent")])
    box.failed(failed, "no answer", 500.0)
    box.failed(dead, "refused", None, [Entry("message.dead", "dead")])
    assert box.counts() == {SENT: 1, DEAD: 1, "waiting": 1}
    assert [m.key for m in box.claim(now=499)] == []
    assert [m.key for m in box.claim(now=500)] == ["k1"]
    assert {e.kind for e in book.read(Asked()).entries} == {"message.sent", "message.dead"}
    assert box.again(dead.id, 600.0)
    assert not box.again(sent.id, 600.0)


def test_what_was_appended_when_the_process_was_killed_is_there_and_whole(tmp_path: Path) -> None:
    program = """
import sys; from pathlib import Path
from citytwin.incidents import Entry
from citytwin.incidents.message import Message
from citytwin.io.stores.records import SqlJournal, open_records
book = SqlJournal(open_records(Path(sys.argv[1])))
for i in range(100000):
    print(book.append([Entry("a.b", "x")] * 3, [Message("c", "t", "x", key=f"k{i}")])[-1].id, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(20)][-1]
    os.kill(process.pid, signal.SIGKILL)
    told = max([told, *(int(line) for line in process.stdout.read().split())])
    process.wait()
    records = open_records(tmp_path)
    book = SqlJournal(records)
    last = book.read(Asked(limit=1)).entries[0].id
    assert last in (told, told + 3)
    assert book.verify() is None
    with records.read() as connection:
        assert connection.execute(sa.text("select count(*) from outbox")).scalar() == last // 3
    records.close()


@pytest.mark.parametrize("kind", ["", "Alert", "alert opened", "alert.", "x" * 5 + "!"])
def test_a_kind_is_dotted_lower_case_words(kind: str) -> None:
    with pytest.raises(InputError):
        Entry(kind, "x")


def test_characters_that_nobody_sees_do_not_get_into_the_journal() -> None:
    assert Entry("a", "one\x00two\x1b[31m", actor="a\nb").text == "one two [31m"
    assert Entry("a", "x", actor="a\nb").actor == "a b"
    assert Entry("a", "\ud800").text == ""
