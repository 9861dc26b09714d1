"""Laws of payload mappings: devices that speak another JSON are read by a declaration, and what is wrong in it is counted."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from device_city import device_city
from test_live_twin import counted, kept, living, publish, until

from citytwin.city import write_city
from citytwin.columns import shipped
from citytwin.errors import InputError
from citytwin.io.feeds.decode import Decoder
from citytwin.io.feeds.mapping import read_mappings
from citytwin.io.feeds.mqtt import packet
from citytwin.io.feeds.wire import Messages
from citytwin.state import Quality

KINDS = list(shipped().kinds.values())
NAMES = [k.name for k in KINDS]
OF = {"tank-1": "sewer_level", "th-kitchen": "air_temperature", "hum-kitchen": "humidity", "loop-07-1": "traffic_intensity",
      "loop-07-2": "traffic_intensity", "urn:dev:mac:01:t": "air_temperature", "urn:dev:mac:01:h": "humidity",
      "urn:ngsi-ld:AirQualityObserved:7": "air_no2", "bay-3": "parking_spot"}  # fmt: skip
NOW = 1_795_000_000_000_000_000

TOML = """
[[mapping]]                                   # Tasmota: tele/<topic>/SENSOR
topic = "tele/{id}/SENSOR"
device = "th-{id}"
value = "AM2301.Temperature"
time = "Time"
unit = "degC"

[[mapping]]                                   # LoRaWAN: The Things Stack v3, uplink
topic = "v3/{application}/devices/{id}/up"
device = {path = "end_device_ids.device_id"}
value = "uplink_message.decoded_payload.distance"
time = "uplink_message.received_at"
unit = "mm"
scale = -1
offset = 3500                                 # the probe hangs 3.5 m above the floor of the shaft

[[mapping]]                                   # counts of road lanes, all in one message
topic = "traffic/{junction}/counts"
each = "lanes[*]"
device = {path = "lane", as = "loop-{junction}-{device}"}
kind = "traffic_intensity"
value = "vehicles"
time = "end_ms"
time_unit = "ms"

[[mapping]]                                   # SenML, RFC 8428
topic = "senml/#"
each = "[*]"
base = "senml"
device = {path = "n"}
value = "v"
time = "t"
unit = {path = "u"}

[[mapping]]                                   # NGSI-LD, normalised
topic = "ngsi/{type}"
device = {path = "id"}
value = "no2.value"
time = "no2.observedAt"
unit = "ug/m3"

[[mapping]]
topic = "bays/{id}"
device = "bay-{id}"
value = "state"
values = {occupied = 1, free = 0, true = 1, false = 0}
"""


@pytest.fixture
def decoder(tmp_path):
    (tmp_path / "mappings.toml").write_text(TOML)
    kind = np.array([NAMES.index(k) for k in OF.values()], dtype=np.int32)
    return Decoder(list(OF), KINDS, kind, read_mappings(tmp_path))


def said(decoder, topic, document):
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    body = packet(0x30, len(topic).to_bytes(2, "big") + topic.encode() + payload)
    found = decoder.decode(Messages([b"readings.mqtt"], [body], [1], [NOW]))
    keys = list(OF)
    rows = zip(found.row.tolist(), found.value.round(6).tolist(), found.time.tolist(), found.quality.tolist(), strict=True)
    return [(keys[r] if r >= 0 else None, v, t, Quality(q).word) for r, v, t, q in rows]


def test_tasmota(decoder):
    document = {
        "Time": "2026-11-18T11:06:30",
        "AM2301": {"Temperature": 21.4, "Humidity": 47.0, "DewPoint": 9.6},
        "TempUnit": "C",
    }
    assert said(decoder, "tele/kitchen/SENSOR", document) == [("th-kitchen", 21.4, 1794999990.0, "good")]


def test_an_uplink_of_the_things_stack(decoder):
    document = {
        "end_device_ids": {"device_id": "tank-1", "dev_eui": "0004A30B001C0530"},
        "received_at": "2026-11-18T11:06:31.123456789Z",
        "uplink_message": {
            "f_port": 2, "f_cnt": 7, "frm_payload": "AU4=", "decoded_payload": {"distance": 3100, "battery": 3.6},
            "rx_metadata": [{"gateway_ids": {"gateway_id": "gw"}, "rssi": -119}], "received_at": "2026-11-18T11:06:30.9Z",
        },
    }  # fmt: skip
    assert said(decoder, "v3/sewers@ttn/devices/tank-1/up", document) == [("tank-1", 0.4, 1794999990.9, "good")]


def test_many_lanes_in_one_message(decoder):
    document = {"lanes": [{"lane": 1, "vehicles": 12, "end_ms": 1794999960000},
                          {"lane": 2, "vehicles": 7, "end_ms": 1794999960000},
                          {"lane": 9, "vehicles": 1, "end_ms": 1794999960000}, {"note": "no lane"}]}  # fmt: skip
    assert [(d, q) for d, _, _, q in said(decoder, "traffic/07/counts", document)] == [
        ("loop-07-1", "good"), ("loop-07-2", "good"), (None, "unknown_device"),
    ]  # fmt: skip


def test_senml_with_base_values(decoder):
    document = [{"bn": "urn:dev:mac:01:", "bt": 1794999900, "bu": "Cel", "n": "t", "v": 23.5},
                {"n": "t", "v": 23.6, "t": 60},
                {"n": "h", "u": "%RH", "v": 41, "t": 5}, {"n": "label", "vs": "kitchen"}]  # fmt: skip
    found = said(decoder, "senml/room/1", document)
    assert found[:2] == [("urn:dev:mac:01:t", 23.5, 1794999900.0, "good"), ("urn:dev:mac:01:t", 23.6, 1794999960.0, "good")]
    assert found[2] == ("urn:dev:mac:01:h", 41.0, 1794999905.0, "good")
    assert len(found) == 3


def test_ngsi_ld(decoder):
    document = {
        "id": "urn:ngsi-ld:AirQualityObserved:7", "type": "AirQualityObserved",
        "no2": {"type": "Property", "value": 22.5, "unitCode": "GQ", "observedAt": "2026-11-18T11:06:30Z"},
        "@context": "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld",
    }  # fmt: skip
    assert said(decoder, "ngsi/AirQualityObserved", document) == [
        ("urn:ngsi-ld:AirQualityObserved:7", 22.5, 1794999990.0, "good")
    ]


@pytest.mark.parametrize(("state", "value"), [("occupied", 1), ("free", 0), (True, 1), (0, 0), ("1", 1)])
def test_words_that_stand_for_numbers(decoder, state, value):
    assert said(decoder, "bays/3", {"state": state}) == [("bay-3", value, NOW / 1e9, "good")]


@pytest.mark.parametrize(
    ("topic", "document", "word"),
    [("bays/3", {"state": "broken"}, "unreadable"), ("bays/3", {}, "unreadable"), ("bays/3", b"?", "unreadable"),
     ("bays/4", {"state": 1}, "unknown_device"), ("bays/3", [1], "unreadable"), ("senml/x", {"n": "t"}, "unreadable"),
     ("senml/x", [{"n": "urn:dev:mac:01:t", "u": "kg", "v": 1}], "wrong_unit"),
     ("senml/x", [{"n": "urn:dev:mac:01:t", "v": 1, "bt": "x"}], "unreadable"),
     ("tele/kitchen/SENSOR", {"Time": "yesterday", "AM2301": {"Temperature": 1}}, "unreadable"),
     ("traffic/07/counts", {"lanes": []}, "unreadable")],
)  # fmt: skip
def test_what_a_mapping_cannot_read_is_counted_with_its_reason(decoder, topic, document, word):
    assert [q for *_, q in said(decoder, topic, document)] == [word]


@pytest.mark.parametrize(
    ("text", "words"),
    [("[[mapping]]\ntopic='a/{x}'\nvalue='v'", "device is missing"), ("[[mapping]]\ntopik='a'", '"topik" is not known'),
     ("[[mapping]]\ntopic='a/{x}'\ndevice='{y}'\nvalue='v'", "device speaks of {y}"),
     ("x = 1", "other than"), ("[[", "cannot be read"),
     ("[[mapping]]\ntopic='a/#/b'\ndevice='d'\nvalue='v'", "topic filter"),
     ("[[mapping]]\ntopic='a'\ndevice='d'\nvalue='v['", "is not a path"),
     ("[[mapping]]\ntopic='a'\ndevice='d'\nvalue='v'\ntime_unit='h'", 'time_unit "h"'),
     ("[[mapping]]\ntopic='a'\ndevice='d'\nvalue='v'\nscale='x'", "scale must be a number")],
)  # fmt: skip
def test_a_wrong_mapping_is_refused_in_one_line(tmp_path, text, words):
    (tmp_path / "mappings.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_mappings(tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mapped_device_is_acknowledged_and_in_the_history(tmp_path):
    folder = tmp_path / "city"
    write_city(device_city(4, ("noise",)), folder)
    (folder / "mappings.toml").write_text('[[mapping]]\ntopic = "meters/{id}"\ndevice = "device-{id}"\nvalue = "laeq[0]"\n')

    async def story(twin):
        assert await publish(twin.mqtt_port, (b"meters/2", b'{"laeq": [55.5, 1]}'), (b"meters/9", b'{"laeq": [1]}')) == 2
        await until(lambda: counted(twin) == 2)
        assert twin.quality()["counts"]["unknown_device"] == 1

    asyncio.run(living(folder, story))
    assert [(d, v) for d, _, v in kept(folder)] == [("device-2", 55.5)]
