"""A twin can be stopped at any moment, also in the middle of its first words with the broker."""

from __future__ import annotations

import asyncio

import pytest
from test_live_twin import PATIENCE

from citytwin.twin import Twin


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34])
def test_a_twin_stops_after_any_number_of_turns_of_the_loop(city_folder, turns):
    async def story():
        twin = Twin.open(city_folder)
        await twin.start(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(twin.stop(), PATIENCE)

    asyncio.run(story())
    Twin.open(city_folder)._lock.release()
