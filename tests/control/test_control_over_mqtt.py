"""Commands go over real MQTT to devices that obey, refuse, answer late or not at all; the journal has every step."""

from __future__ import annotations

import asyncio
import json
import time

import aiomqtt
import pytest

from citytwin.city import write_city
from citytwin.errors import ConflictError, InputError
from citytwin.incidents.command import CommandKinds, Standing
from citytwin.incidents.journal import Asked
from citytwin.io.feeds.obeying import Obeying
from citytwin.io.feeds.signals import Signals
from citytwin.twin import Twin
from citytwin.twin.control import Wanted
from tests.live.device_city import device_city

KINDS = ("sluice_gate", "pump_state", "signal_controller", "message_sign")
GATE, PUMP, CONTROLLER, SIGN = (f"device-{i}" for i in range(4))
INTERLOCK = """
[[interlock]]
name = "gate against pump"
why = "the pump would draw from the river"
never = [{device = "device-0", above = "0.1 m"}, {device = "device-1", is = 1}]
"""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "city"
    write_city(device_city(8, KINDS), folder)
    (folder / "interlocks.toml").write_text(INTERLOCK)
    return folder


def wanted(device, command, value, role="duty", ticket="", **more):
    return Wanted(device, command, value, "Ana", role, "drill", ticket, **more)


async def tried_and_sent(control, device, command, value):
    tried = control.attempt(wanted(device, command, value))
    assert not tried.problems, tried.problems
    return await control.send(wanted(device, command, value, ticket=tried.ticket))


async def until(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.02)


async def say(twin, *lines):
    await twin.accept("\n".join(json.dumps({"device": d, "value": v}) for d, v in lines).encode())
    rows = {d: int(twin.city.row("device", d)) for d, _ in lines}
    await until(lambda: all(twin.devices.value[rows[d]] == pytest.approx(v) for d, v in lines))


def kinds_in_journal(twin, device):
    return [e.kind for e in twin.journal.read(Asked(subject=f"device/{device}", oldest_first=True)).entries]


async def with_twin(folder, work, **obeying):
    twin = Twin.open(folder)
    await twin.start(0)
    listening = None
    try:
        if obeying:
            ready = asyncio.Event()
            signals = Signals(twin.city, twin.columns.kinds, share=0)
            devices = Obeying(twin.city, CommandKinds(twin.columns), signals, **obeying)
            listening = asyncio.create_task(devices.run("127.0.0.1", twin.mqtt_port, ready.set))
            await asyncio.wait_for(ready.wait(), 10)
            await work(twin, devices)
        else:
            await work(twin)
    finally:
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening])
        await twin.stop()


def test_a_device_that_obeys_is_confirmed_and_then_reads_so(folder):
    async def work(twin, fleet):
        await say(twin, (GATE, 0.0), (PUMP, 0))
        sent = await tried_and_sent(twin.control, GATE, "set_opening", "50 cm")
        assert sent.standing is Standing.SENT
        await until(lambda: twin.control.command(sent.id).standing is Standing.CONFIRMED)
        row = twin.city.row("device", GATE)
        assert fleet.signals.commanded == {row: 0.5}
        await until(lambda: kinds_in_journal(twin, GATE) == ["command.sent", "command.confirmed"])

    asyncio.run(with_twin(folder, work, delay=0.05, refuse=0.0, deaf=0.0))


def test_a_device_that_refuses_says_why(folder):
    async def work(twin, _):
        sent = await twin.control.send(wanted(SIGN, "show_text", "Bridge closed"))
        await until(lambda: twin.control.command(sent.id).standing is Standing.REFUSED)
        assert "local control" in twin.control.command(sent.id).note

    asyncio.run(with_twin(folder, work, delay=0.01, refuse=1.0, deaf=0.0))


def test_a_device_that_says_nothing_is_silent_and_its_interlocks_assume_the_worst(folder, monkeypatch):
    async def work(twin, fleet):
        await say(twin, (GATE, 0.0), (PUMP, 0))
        sent = await tried_and_sent(twin.control, PUMP, "switch", "run")
        again = twin.control.attempt(wanted(PUMP, "switch", "stop"))
        assert [p["kind"] for p in again.problems] == ["busy"]
        await until(lambda: fleet.counts.again >= 1)  # it is repeated
        twin.control.tick(sent.deadline + 1)
        assert twin.control.command(sent.id).standing is Standing.SILENT
        found = twin.control.attempt(wanted(GATE, "set_opening", 1.0))
        assert [p["kind"] for p in found.problems] == ["interlock"]
        assert "0 or 1" in found.problems[0]["message"]
        await say(twin, (PUMP, 0))
        row = twin.city.row("device", PUMP)
        await until(lambda: twin.devices.time[row] > sent.made)  # now it is known again

    asyncio.run(with_twin(folder, work, delay=0.01, refuse=0.0, deaf=1.0))


def test_what_may_not_be_is_not_sent_and_is_in_the_journal(folder):
    async def work(twin):
        heard = []
        async with aiomqtt.Client("127.0.0.1", twin.mqtt_port, identifier="ear") as ear:
            await ear.subscribe("command/#")
            await say(twin, (GATE, 0.0), (PUMP, 1), (CONTROLLER, 1))
            for device, command, value, role, words in (
                (GATE, "set_opening", 0.5, "duty", "interlock"),
                (GATE, "set_opening", 5.0, "duty", "at once"),
                (GATE, "set_opening", 0.05, "gardener", "may not"),
                (GATE, "set_opening", 0.05, "duty", "tried on the twin first"),
                (CONTROLLER, "set_plan", 9, "duty", "not declared"),
            ):
                with pytest.raises(ConflictError, match=words):
                    await twin.control.send(wanted(device, command, value, role))
            with pytest.raises(InputError):
                await twin.control.send(wanted(GATE, "set_opening", 11))
            sent = await twin.control.send(wanted(SIGN, "show_text", "the end"))
            async for message in ear.messages:
                heard.append(json.loads(message.payload))
                break
        assert [h["id"] for h in heard] == [sent.id]  # nothing else went out
        assert kinds_in_journal(twin, GATE) == ["command.forbidden"] * 3

    asyncio.run(with_twin(folder, work))


def test_a_try_changes_nothing_and_its_ticket_is_good_once_for_what_was_tried(folder):
    async def work(twin):
        await say(twin, (GATE, 0.0), (PUMP, 0))
        tried = twin.control.attempt(wanted(GATE, "set_opening", 1.0))
        assert tried.effects[0] | {"key": GATE, "before": 0.0, "after": 1.0} == tried.effects[0]
        assert twin.state["gate_opening"][twin.city.row("device", GATE)] == 0.0
        with pytest.raises(ConflictError, match="tried"):
            await twin.control.send(wanted(GATE, "set_opening", 2.0, ticket=tried.ticket))
        tried = twin.control.attempt(wanted(GATE, "set_opening", 1.0))
        await twin.control.send(wanted(GATE, "set_opening", 1.0, ticket=tried.ticket))
        twin.control.tick(time.time() + 1000)
        with pytest.raises(ConflictError, match="tried"):
            await twin.control.send(wanted(GATE, "set_opening", 1.0, ticket=tried.ticket))

    asyncio.run(with_twin(folder, work))


def test_an_answer_of_another_device_is_not_believed(folder):
    async def work(twin):
        sent = await twin.control.send(wanted(SIGN, "show_text", "left"))
        async with aiomqtt.Client("127.0.0.1", twin.mqtt_port, identifier="liar") as liar:
            wrong = json.dumps({"id": sent.id, "ok": True})
            for topic, payload in ((f"answer/sluice_gate/{GATE}", wrong), (f"answer/message_sign/{SIGN}", "not json"),
                                   (f"answer/message_sign/{SIGN}", '{"id": "nobody", "ok": true}')):  # fmt: skip
                await liar.publish(topic, payload, qos=1)
            await until(lambda: twin.control.line.unreadable == 1)
            assert twin.control.command(sent.id).standing is Standing.SENT
            await liar.publish(f"answer/message_sign/{SIGN}", wrong, qos=1)
            await until(lambda: twin.control.command(sent.id).standing is Standing.CONFIRMED)

    asyncio.run(with_twin(folder, work))


def test_a_device_that_reads_otherwise_than_it_answered_is_contradicted(folder):
    async def work(twin, _):
        await say(twin, (GATE, 0.0), (PUMP, 0))
        sent = await tried_and_sent(twin.control, GATE, "set_opening", 1.0)
        await until(lambda: twin.control.command(sent.id).standing is Standing.CONFIRMED)
        await say(twin, (GATE, 0.2))
        await until(lambda: "command.contradicted" in kinds_in_journal(twin, GATE))

    asyncio.run(with_twin(folder, work, delay=0.01, refuse=0.0, deaf=0.0))


def test_a_command_survives_a_restart_of_the_twin(folder):
    async def first(twin):
        sent = await twin.control.send(wanted(SIGN, "show_text", "closed"))
        ids.append(sent.id)

    async def second(twin, _):
        assert twin.control.command(ids[0]) is not None
        await until(lambda: twin.control.command(ids[0]).standing is Standing.CONFIRMED)

    ids = []
    asyncio.run(with_twin(folder, first))
    asyncio.run(with_twin(folder, second, delay=0.01, refuse=0.0, deaf=0.0))
