"""What can happen to a twin under load: its processes are killed, its disk is full, clocks jump."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

CLOCKS = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1")
DISK = "1g"  # room for everything that the twin keeps, where a disk that fills up is tried
JUMP = 5400.0  # seconds


class TwinProcess:
    """`citytwin devices listen` as its own process, started again after each kill."""

    def __init__(self, folder: Path, port: int = 0, environment: dict[str, str] | None = None) -> None:
        self.folder, self.port = folder, port
        self.environment = {**os.environ, **(environment or {})}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        program = Path(sys.executable).with_name("citytwin")
        self.process = await asyncio.create_subprocess_exec(
            str(program), "devices", "listen", str(self.folder), "--mqtt-port", str(self.port),
            stdout=asyncio.subprocess.PIPE, env=self.environment,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 300)
        self.port = json.loads(line)["mqtt_port"]

    async def end(self, sign: signal.Signals) -> None:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(sign)
        await self.process.wait()

    def kill_child(self, note: str) -> None:
        """Kill -9 of the process that a note in the folder names."""
        pid = json.loads((self.folder / "live" / note).read_text())["pid"]
        if pid:
            os.kill(pid, signal.SIGKILL)


class Harms:
    """The harms that can be tried on this machine. `possible`: their names; root can fill a disk, faketime set a clock."""

    def __init__(self, folder: Path, recorder: Any, dice: random.Random) -> None:
        self._folder, self._recorder, self._dice = folder, recorder, dice
        self._live = folder / "live"
        self._mounted = self._mount()
        self._clock = folder / "clock"
        library = next((c for c in CLOCKS if Path(c).exists()), "")
        environment = {
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(self._clock), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        self._set_clock(0.0)
        self.twin = TwinProcess(folder, environment=environment if library else {})
        self.possible = ["kill twin", "kill broker", "kill door", "kill both", "kill all", "device clocks"]
        self.possible += ["full disk"] if self._mounted else []
        self.possible += ["host clock"] if library else []

    def _mount(self) -> bool:
        self._live.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0 or shutil.which("mount") is None:
            return False
        words = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(self._live)]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0

    async def undo(self) -> None:
        """End what still runs, take the small disk away."""
        if self.twin.process is not None and self.twin.process.returncode is None:
            await self.twin.end(signal.SIGKILL)
        for note in ("nats/broker.json", "door/door.json"):
            try:
                self.twin.kill_child(note)
            except (OSError, ValueError, KeyError):
                continue
        if self._mounted:
            subprocess.run(["umount", "-l", str(self._live)], check=False)

    async def do(self, harm: str) -> None:
        """One harm, until it is over."""
        if harm.startswith("kill"):
            await self._kill(harm.split()[1])
        elif harm == "full disk":
            await self._fill()
        elif harm == "host clock":
            self._set_clock(self._dice.choice((-JUMP, JUMP)))
            await asyncio.sleep(self._dice.uniform(2, 4))
            self._set_clock(0.0)
        else:
            self._recorder.shift = self._dice.choice((-JUMP, JUMP))
            await asyncio.sleep(self._dice.uniform(1, 3))
            self._recorder.shift = 0.0

    async def _kill(self, victim: str) -> None:
        if victim in ("broker", "both", "all"):
            self.twin.kill_child("nats/broker.json")
        if victim in ("door", "all"):
            self.twin.kill_child("door/door.json")
        if victim in ("twin", "both", "all"):
            await self.twin.end(signal.SIGKILL)
            await asyncio.sleep(self._dice.uniform(0, 1))
            await self.twin.start()

    async def _fill(self) -> None:
        """Write until nothing fits, wait, and remove it."""
        ballast = self._live / "ballast"
        for size in (1 << 20, 1 << 12):
            try:
                with ballast.open("ab", buffering=0) as out:
                    while out.write(bytes(size)) == size:
                        pass
            except OSError:
                continue
        await asyncio.sleep(self._dice.uniform(3, 6))
        ballast.unlink()

    def _set_clock(self, shift: float) -> None:
        partial = self._clock.with_name(".clock")
        self._clock.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(f"{shift:+.0f}\n")
        partial.replace(self._clock)
