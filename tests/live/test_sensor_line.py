"""The how-to keeps its word: one line in the city folder makes a new kind of sensor."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
from device_city import device_city
from test_live_twin import counted, living, publish, until

from citytwin.city import City, Facts, write_city
from citytwin.columns import SENSOR_FIELDS, read_sensors
from citytwin.io.feeds.signals import Signals

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/add-a-sensor-type.md"


def test_one_line_in_the_city_folder_makes_a_new_kind_of_sensor(tmp_path):
    lines = re.search(r"```csv\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL).group(1)
    table = device_city(1).table("device")
    tree = gpd.GeoDataFrame({"key": ["tree-1"], "kind": ["tree_lean"], "name": [""], "zone": [""]},
                            geometry=table.geometry, crs=table.crs)  # fmt: skip
    write_city(City(Facts("Trees", "EPSG:32631"), {"device": tree}), tmp_path / "trees")
    (tmp_path / "trees/sensors.csv").write_text(lines, encoding="utf-8")

    async def story(twin):
        await publish(
            twin.mqtt_port, (b"city/tree_lean/tree-1", b'{"value": 0.02, "unit": "rad"}'), (b"city/tree_lean/tree-1", b"91")
        )
        await until(lambda: counted(twin) == 2)
        assert abs(twin.state["tree_lean"][0] - 1.1459) < 0.001
        assert twin.quality()["counts"]["outside_bounds"] == 1
        assert -3 <= Signals(twin.city, twin.columns.kinds).truth(np.array([0]), 1.7e9)[0] <= 3

    asyncio.run(living(tmp_path / "trees", story))


def test_the_page_and_the_shipped_file_have_the_same_heading():
    text = PAGE.read_text(encoding="utf-8")
    heading = re.search(r"```csv\n(.*?)\n", text).group(1).split(",")
    assert heading == list(read_sensors()[0])
    assert set(SENSOR_FIELDS) <= set(heading)
    described = re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `")))
    assert sorted(described) == sorted(heading)
