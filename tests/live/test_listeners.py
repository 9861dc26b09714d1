"""Laws of those who listen to the twin: told of every checked batch, after it is state; one that fails harms nobody."""

from __future__ import annotations

import asyncio

from test_live_twin import counted, living, publish, until

from citytwin.state import Quality


class Ear:
    """Notes what it is told."""

    def __init__(self, twin):
        self.twin, self.heard, self.ticks = twin, [], 0

    def hear(self, batch):
        for row, value, quality in zip(batch.row.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True):
            self.heard.append((row, value, Quality(quality), float(self.twin.state["noise_level"][row])))

    def tick(self, now):
        self.ticks += 1


class Broken:
    """Fails at everything."""

    def hear(self, batch):
        raise RuntimeError("no")

    def tick(self, now):
        raise RuntimeError("no")


def test_listeners_hear_every_checked_batch_after_it_is_state_and_a_tick_a_second(city_folder, caplog):
    async def story(twin):
        ear = Ear(twin)
        twin.listeners += [Broken(), ear]
        await publish(twin.mqtt_port, (b"city/noise/device-3", b"61"), (b"city/noise/device-8", b"9999"))
        await until(lambda: counted(twin) == 2 and ear.ticks >= 2)
        assert [(r, v, q) for r, v, q, _ in ear.heard] == [(3, 61.0, Quality.GOOD), (8, 9999.0, Quality.OUTSIDE_BOUNDS)]
        assert ear.heard[0][3] == 61.0
        assert twin.quality()["problem"] == ""

    asyncio.run(living(city_folder, story))
    assert "a listener failed" in caplog.text
