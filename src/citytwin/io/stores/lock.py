"""The lock of a twin's folder: one twin at a time; a lock left by a dead process is taken over."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from citytwin.errors import ConflictError, OutsideError

_held: set[Path] = set()  # a record lock does not keep out its own process


class FolderLock:
    """Holds `path` for this process until `release` or the end of the process, however it ends.

    A POSIX record lock: the kernel lets go of it when the process dies, and children that it forked do not keep it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.path in _held:
                raise self._conflict(str(os.getpid()))
            self._file = path.open("r+" if path.exists() else "w+", encoding="utf-8")
        except OSError as error:
            raise OutsideError(f"cannot write: {error.strerror or error}", str(path)) from error
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise self._conflict(holder) from None
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()
        _held.add(self.path)

    def _conflict(self, holder: str) -> ConflictError:
        folder = str(self.path.parent.parent)
        return ConflictError(f"another twin runs on this folder (process {holder})", folder, "stop it first")

    def release(self) -> None:
        """Let go of the folder."""
        _held.discard(self.path)
        self._file.close()
