"""citytwin devices: make a city's devices publish."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from citytwin.city import read_city
from citytwin.cli.follow import follow
from citytwin.cli.served import served_at
from citytwin.cli.show import json_option, print_json, say
from citytwin.errors import ConflictError, InputError, OutsideError
from citytwin.incidents.command import CommandKinds
from citytwin.io.feeds.fleet import Fleet, Sent
from citytwin.io.feeds.mqtt import Publisher
from citytwin.io.feeds.obeying import Obeying
from citytwin.io.feeds.recording import read_layout, read_recording
from citytwin.io.feeds.replay import over_mqtt
from citytwin.io.feeds.replay import replay as replay_readings
from citytwin.io.feeds.signals import FAULT_SHARE
from citytwin.io.feeds.water import RunWater
from citytwin.twin import Twin


@click.group()
def devices() -> None:
    """Work with a city's devices."""


devices.add_command(follow)


@devices.command()
@click.argument("city", type=click.Path(path_type=Path))
@click.option("--rate", type=float, help="Readings a second over all devices; without it each kind keeps its own period.")
@click.option("--devices", "number", type=click.IntRange(1), help="Only so many devices.")
@click.option("--seconds", type=float, help="Stop after so long; without it only Ctrl-C ends it.")
@click.option("--mqtt", default="127.0.0.1:1883", show_default=True, metavar="HOST:PORT", help="Where the broker listens.")
@click.option("--connections", type=click.IntRange(1), default=20, show_default=True, help="MQTT connections to share.")
@click.option("--qos", type=click.IntRange(0, 1), default=1, show_default=True, help="MQTT quality of service.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same readings at the same times.")
@click.option("--faults", type=float, default=FAULT_SHARE, show_default=True, help="Share of devices faulty in any hour.")
@click.option("--run", type=click.Path(path_type=Path), help="A flood run whose water gauges and roads follow from now on.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="Times as fast as the run was.")
@click.option("--deaf", is_flag=True, help="The devices take no commands.")
@json_option
def simulate(
    city: Path, rate: float | None, number: int | None, seconds: float | None, mqtt: str, connections: int, qos: int,
    seed: int, faults: float, run: Path | None, speed: float, deaf: bool, as_json: bool,
) -> None:  # fmt: skip
    """Publish over MQTT what the devices of CITY would measure; they take commands, and obey as late as real ones."""
    host, port = _address(mqtt)
    known = read_city(city)
    fleet = Fleet(known, known.columns.kinds, rate=rate, devices=number, connections=connections, qos=qos, seed=seed,
                  faults=faults)  # fmt: skip
    if run is not None:
        fleet.water, fleet.water_speed = RunWater(run, fleet.signals.x, fleet.signals.y), speed
    say(f"{fleet.number} devices of {known.name} publish to {host}:{port}")
    obeying = None if deaf else Obeying(known, CommandKinds(known.columns, city), fleet.signals, seed)
    done = asyncio.run(_run(fleet, host, port, seconds, obeying))
    if as_json:
        print_json({"devices": fleet.number, "sent": done.sent, "acknowledged": done.acked, "behind_s": done.behind})
    else:
        print(f"{done.sent} readings sent, {done.acked} acknowledged")


@devices.command()
@click.argument("city", type=click.Path(path_type=Path))
@click.option("--mqtt-port", type=click.IntRange(0, 65535), default=1883, show_default=True, help="0 takes any free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address for devices; anybody who reaches it may publish.")
@click.option("--seconds", type=float, help="Stop after so long; without it only Ctrl-C ends it.")
def listen(city: Path, mqtt_port: int, host: str, seconds: float | None) -> None:
    """Keep the twin of CITY, without the page: take what devices publish into its history.

    Prints one line of JSON when it is ready: {"mqtt_port": 1883, "pid": 4711}.
    """
    twin = Twin.open(city)
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        runner.run(_listen(twin, mqtt_port, host, seconds))
    counts = {reason: n for reason, n in twin.quality()["counts"].items() if n}
    say("readings: " + (", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in counts.items()) or "none"))


@devices.command()
@click.argument("city", type=click.Path(path_type=Path))
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--speed", type=float, default=math.inf, help="Times as fast as recorded; without it as fast as can be.")
@click.option("--mqtt", default="127.0.0.1:1883", show_default=True, metavar="HOST:PORT", help="Where the broker listens.")
@click.option("--layout", type=click.Path(path_type=Path), help="TOML file that says what the recording does not.")
@click.option("--with", "settings", multiple=True, metavar="NAME=VALUE", help="One setting of a layout; may be repeated.")
def replay(city: Path, recording: Path, speed: float, mqtt: str, layout: Path | None, settings: tuple[str, ...]) -> None:
    """Publish the readings of RECORDING (CSV, Parquet, Feather; long, wide, or a column a quantity; compressed or not).

    Settings: time, time_format, zone, begin, every, device, columns, devices, unit, missing, separator, decimal,
    encoding, skip.
    """
    host, port = _address(mqtt)
    known, table = read_city(city), read_recording(recording, read_layout(layout, settings))
    say(f"{len(table)} readings of {table['device'].nunique()} devices")

    async def run() -> Publisher:
        publisher = Publisher(host, port, f"replay-{os.getpid()}")
        await publisher.connect()
        await replay_readings(table, over_mqtt(known, publisher), speed)
        await publisher.close()
        return publisher

    done = asyncio.run(run())
    print(f"{done.sent} readings sent, {done.acked} acknowledged")


@devices.command()
@click.argument("city", type=click.Path(path_type=Path))
@click.option("--device", default="", help="All about one device.")
@click.option("--kind", default="", help="Only devices of this kind.")
@click.option("--status", default="", help="Only online, late, silent, faulty or unknown devices, or those in maintenance.")
@click.option("--reason", default="", help="Only devices of which readings were not believed for this reason.")
@click.option("--most", type=click.IntRange(1, 10_000), default=20, show_default=True, help="List so many devices.")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Where the twin of CITY is served.")
@json_option
def health(
    city: Path, device: str, kind: str, status: str, reason: str, most: int, url: str, as_json: bool
) -> None:  # fmt: skip
    """Show how the devices of CITY are: the worst first, with what the checks found. Asks the twin that is served."""
    name = read_city(city).name
    with served_at(url) as twin:
        there = twin.get("/api/city")["name"]
        if there != name:
            raise ConflictError(f'the twin served there is of "{there}"', url, "say --url")
        if device:
            found = twin.get(f"/api/devices/{quote(device)}/health")
        else:
            words = {"kind": kind, "status": status, "reason": reason, "limit": most}
            found = twin.get("/api/devices/health?" + urlencode(words))
    if as_json:
        print_json(found)
    elif device:
        _show_device(found)
    else:
        print(f"{found['number']} devices: " + _counted(found["statuses"]))
        print("readings: " + _counted(found["reasons"]))
        for line in found["devices"]:
            _show_line(line)


def _show_device(found: dict[str, Any]) -> None:
    _show_line(found)
    uptime = "not known" if found["uptime"] is None else f"{100 * found['uptime']:.1f} %"
    print(f"received {found['received']} of {found['expected']} readings; up {uptime} of the time")
    for each in found["recent"][:10]:
        print(f"  {each['reason'].replace('_', ' ')}: {each['raw']}")


def _show_line(line: dict[str, Any]) -> None:
    print(f"{line['key']:<24} {line['kind']:<20} {line['status']:<12} {_counted(line['counts'])}")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {word.replace('_', ' ')}" for word, n in counts.items() if n) or "none"


@devices.command()
@click.argument("device")
@click.argument("name", metavar="COMMAND")
@click.argument("value")
@click.option("--actor", required=True, help="Who commands; it stands in the journal.")
@click.option("--role", default="", help="In which role.")
@click.option("--reason", default="", help="Why.")
@click.option("--dry-run", is_flag=True, help="Only try it on the twin.")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Where the twin is served.")
@json_option
def command(
    device: str, name: str, value: str, actor: str, role: str, reason: str, dry_run: bool, url: str, as_json: bool
) -> None:  # fmt: skip
    """Tell DEVICE to do COMMAND with VALUE: tried on the twin first, then sent; waits for the device's answer."""
    asked = {"device": device, "command": name, "value": value, "actor": actor, "role": role, "reason": reason}
    with served_at(url) as twin:
        tried = twin.post("/api/commands/check", asked)
        for words in tried["warnings"]:
            say(f"warning: {words}")
        if tried["problems"]:
            first = tried["problems"][0]
            raise ConflictError(first["message"], f"{device} {name}", first["hint"])
        if dry_run:
            print_json(tried) if as_json else print("nothing forbids it")
            return
        found = twin.post("/api/commands", asked | {"ticket": tried["ticket"]})
        while found["standing"] == "sent":
            time.sleep(0.2)
            found = twin.get(f"/api/commands/{found['id']}")
    if as_json:
        print_json(found)
    else:
        print(f"{device} {name} {value}: {found['standing']}" + (f" ({found['note']})" if found["note"] else ""))
    if found["standing"] != "confirmed":
        raise OutsideError(f"the device did not confirm: {found['standing']}", device, found["note"])


async def _listen(twin: Twin, mqtt_port: int, host: str, seconds: float | None) -> None:
    ended = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, ended.set)
    await twin.start(mqtt_port, host)
    print(json.dumps({"mqtt_port": twin.mqtt_port, "pid": os.getpid()}), flush=True)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()
    await twin.stop()


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return new_loop


async def _run(fleet: Fleet, host: str, port: int, seconds: float | None, obeying: Obeying | None) -> Sent:
    """Publish, and obey, until the time is up or somebody ends the process politely."""
    ended = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, ended.set)
    listening = asyncio.create_task(obeying.run(host, port)) if obeying else None
    try:
        return await fleet.run(host, port, seconds, stop=ended.is_set)
    finally:
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening], timeout=5)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f'"{text}" is not HOST:PORT', "--mqtt", "as in 127.0.0.1:1883")
    return host, int(port)
