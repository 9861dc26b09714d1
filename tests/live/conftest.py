"""A small city with devices, in a folder."""

from __future__ import annotations

import pytest
from device_city import device_city

from citytwin.city import write_city


@pytest.fixture
def city_folder(tmp_path):
    folder = tmp_path / "devices"
    write_city(device_city(), folder)
    return folder
