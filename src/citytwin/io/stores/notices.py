"""What people said about devices and readings, kept beside the history: one JSON file a commit that holds some.

A file is named by the places of the log that its commit covers, like the files of readings; what is newer than the history is
removed at the start and comes again out of the log.
"""

from __future__ import annotations

import json
from pathlib import Path

from citytwin.io.stores.files import sync, write_bytes
from citytwin.state import Judged, Judgement, Maintenance, Notice, read_notice


class NoticeStore:
    """The notices in `folder`. `judged`: for each device the judgements in force, in the order of the log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: list[tuple[int, Notice]] = []
        self._judgements: dict[str, list[Judgement]] = {}

    def recover(self, committed: int) -> None:
        """Read all notices up to place `committed` of the log; remove what a crash left behind it."""
        for path in sorted(self._folder.glob("*"), key=lambda p: (len(p.name.split("-")[0]), p.name)):
            if path.suffix != ".json" or path.name.startswith(".") or int(path.stem.split("-")[1]) > committed:
                path.unlink()
                continue
            said = json.loads(path.read_text(encoding="utf-8"))
            self.take([(int(each["sequence"]), json.dumps(each["notice"]).encode()) for each in said])

    def write(self, name: str, notices: list[tuple[int, bytes]]) -> None:
        """Put the notices of one commit on disk."""
        understood = [(place, said) for place, said in notices if read_notice(said) is not None]
        if understood:
            self._folder.mkdir(exist_ok=True)
            listed = [{"sequence": place, "notice": json.loads(said)} for place, said in understood]
            write_bytes(self._folder / name.replace(".parquet", ".json"), json.dumps(listed, indent=1).encode())
            sync(self._folder)

    def undo(self, name: str) -> None:
        """Remove what a commit that failed has written."""
        (self._folder / name.replace(".parquet", ".json")).unlink(missing_ok=True)

    def take(self, notices: list[tuple[int, bytes]]) -> list[Judgement]:
        """Let notices take effect on questions to the history; the judgements among them."""
        judgements = []
        for place, said in notices:
            notice = read_notice(said)
            if notice is None:
                continue
            self._all.append((place, notice))
            if isinstance(notice, Judgement):
                self._judgements.setdefault(notice.device, []).append(notice)
                judgements.append(notice)
        return judgements

    def since(self, sequence: int) -> list[Notice]:
        """The notices after place `sequence` of the log, in order."""
        return [notice for place, notice in self._all if place > sequence]

    def judged(self, device: str) -> Judged:
        """What was said about the readings of one device."""
        return Judged(tuple(self._judgements.get(device, ())))

    @property
    def judged_devices(self) -> dict[str, list[Judgement]]:
        """The devices of whose readings something was said."""
        return self._judgements

    def maintenance(self, device: str) -> Maintenance | None:
        """What was last said about work on one device."""
        return next((n for _, n in reversed(self._all) if isinstance(n, Maintenance) and n.device == device), None)
