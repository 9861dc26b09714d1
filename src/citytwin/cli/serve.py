"""citytwin serve: the live twin of a city with its page. citytwin demo: the same for a made city with simulated devices."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from citytwin.cli.show import progress, say

if TYPE_CHECKING:
    from citytwin.twin import Twin

PORT = click.IntRange(0, 65535)


@click.command()
@click.argument("city", type=click.Path(path_type=Path))
@click.option("--port", type=PORT, default=8000, show_default=True, help="Port of the page; 0 takes any free one.")
@click.option("--mqtt-port", type=PORT, default=1883, show_default=True, help="Port for devices; 0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on. There is no sign-in yet.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A further name of this server, behind a proxy for example.")
@click.option("--allow-origin", multiple=True, metavar="URL", help="A further origin whose pages may talk to this server.")
@click.option("--verbose", is_flag=True, help="Say more on stderr.")
def serve(
    city: Path, port: int, mqtt_port: int, host: str, allow_host: tuple[str, ...], allow_origin: tuple[str, ...], verbose: bool
) -> None:
    """Serve the live twin of CITY until Ctrl-C."""
    from citytwin.server.guard import is_loopback
    from citytwin.server.running import Listening, start_logging
    from citytwin.server.running import serve as serve_city

    start_logging(verbose)
    if not is_loopback(host):
        say(f"warning: {host} can be reached by other machines, and there is no sign-in: put a proxy with one in front")
    _run(serve_city(city, Listening(host, port, mqtt_port, allow_host, allow_origin), say=say))


@click.command()
@click.option("--port", type=PORT, default=8000, show_default=True, help="Port of the page; 0 takes any free one.")
@click.option("--mqtt-port", type=PORT, default=1883, show_default=True, help="Port for devices; 0 takes any free one.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path("demo-city"), show_default=True, help="Where the city is kept."
)
@click.option("--people", type=click.IntRange(min=100), default=20_000, show_default=True, help="Inhabitants of a new city.")
@click.option("--devices", type=click.IntRange(min=0), default=5_000, show_default=True, help="Devices of a new city.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Same seed, same city.")
@click.option("--allow-origin", multiple=True, metavar="URL", help="A further origin whose pages may talk to this server.")
@click.option("--verbose", is_flag=True, help="Say more on stderr.")
def demo(
    port: int, mqtt_port: int, folder: Path, people: int, devices: int, seed: int, allow_origin: tuple[str, ...], verbose: bool
) -> None:
    """A made city with simulated devices and its page: one command, no data needed."""
    from citytwin.server.running import Listening, start_logging
    from citytwin.server.running import serve as serve_city

    start_logging(verbose)
    if not (folder / "city.toml").is_file():
        _make(folder, people, devices, seed)
    say(f"opening {folder}")
    _run(serve_city(folder, Listening("127.0.0.1", port, mqtt_port, (), allow_origin), fleet, say))


def _make(folder: Path, people: int, devices: int, seed: int) -> None:
    from citytwin.city import write_city
    from citytwin.city.synthetic import synthesize
    from citytwin.cli.rules import write_made_rules

    with progress("demo city") as told:
        write_city(synthesize(people, devices, seed, progress=told), folder)
    write_made_rules(folder)
    say(f"made a city of {people} people with {devices} devices in {folder}")


@asynccontextmanager
async def fleet(twin: Twin) -> AsyncIterator[None]:
    """Simulated devices that publish over MQTT while the block lasts, in a process of their own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "citytwin.cli.fleet", str(twin.city.folder), f"127.0.0.1:{twin.mqtt_port}",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def _run(work: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(work)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
