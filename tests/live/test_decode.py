"""Laws of reading payloads: whatever is sent is counted, and what is good among it is kept."""

from __future__ import annotations

import datetime as dt
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.columns import shipped
from citytwin.io.feeds.arrow import write_arrow
from citytwin.io.feeds.decode import Decoder, subject_of, topic_of
from citytwin.io.feeds.mqtt import packet
from citytwin.io.feeds.numbers import moment, number_at
from citytwin.io.feeds.wire import Messages, PullConnection
from citytwin.state import Quality
from citytwin.state.notices import read_notice

KINDS = list(shipped().kinds.values())
NAMES = [k.name for k in KINDS]
KEYS = ["gauge-1", "thermo.1", "rain/2"]
OF = np.array([NAMES.index(n) for n in ("river_stage", "air_temperature", "rain_gauge")], dtype=np.int32)
NOW = 1_795_000_000_000_000_000


@pytest.fixture(scope="module")
def decoder():
    return Decoder(KEYS, KINDS, OF)


def sent(*payloads, subject=b"city.river_stage.gauge-1"):
    subjects = [subject] * len(payloads)
    return Messages(subjects, list(payloads), list(range(1, len(payloads) + 1)), [NOW] * len(payloads))


def test_an_object_a_bare_number_and_a_list_are_read(decoder):
    found = decoder.decode(sent(b'{"value": 1.5}', b"2", b'[{"value": 3, "time": 1794999990}, {"value": 4}]'))
    assert found.value.tolist() == [1.5, 2, 3, 4]
    assert found.time.tolist() == [NOW / 1e9, NOW / 1e9, 1794999990, NOW / 1e9 + 1e-6]
    assert list(zip(found.sequence.tolist(), found.part.tolist(), strict=True)) == [(1, 0), (2, 0), (3, 0), (3, 1)]


@pytest.mark.parametrize(
    "time", ['"2026-11-18T11:06:30Z"', '"2026-11-18T12:06:30+01:00"', '"2026-11-18T11:06:30"', "1794999990"]
)
def test_a_time_is_utc_however_it_is_written(decoder, time):
    found = decoder.decode(sent(b'{"value": 1, "time": %s}' % time.encode()))
    assert found.time.tolist() == [1794999990.0]


def test_a_compatible_unit_is_converted_and_another_is_refused(decoder):
    found = decoder.decode(sent(b'{"value": 150, "unit": "cm"}', b'{"value": 1, "unit": "kg"}', b'{"value": 1, "unit": "??"}'))
    assert found.value[0] == pytest.approx(1.5)
    assert [Quality(q) for q in found.quality] == [Quality.GOOD, Quality.WRONG_UNIT, Quality.WRONG_UNIT]
    assert found.raw[1] == ("gauge-1", b"1.0 kg")


def test_temperatures_convert_with_their_offset(decoder):
    found = decoder.decode(sent(b'{"value": 50, "unit": "degF"}', subject=subject_of("air_temperature", "thermo.1")))
    assert found.value[0] == pytest.approx(10.0)


@pytest.mark.parametrize(("row", "kind", "key"), [(0, "river_stage", "gauge-1"), (1, "air_temperature", "thermo.1"),
                                                  (2, "rain_gauge", "rain/2")])  # fmt: skip
def test_every_key_is_found_under_the_subject_of_its_topic(decoder, row, kind, key):
    assert decoder.decode(sent(b"1", subject=subject_of(kind, key))).row.tolist() == [row]
    assert decoder.decode(packets((f"city/{kind}/{key}".encode(), b"1"))).row.tolist() == [row]
    assert topic_of(subject_of(kind, key)) == f"city/{kind}/{key}".encode()


def test_a_device_of_another_kind_or_name_is_unknown_and_its_payload_kept(decoder):
    found = decoder.decode(sent(b"7", subject=b"city.rain_gauge.gauge-1"))
    assert found.quality.tolist() == [Quality.UNKNOWN_DEVICE]
    assert found.raw[0] == ("city/rain_gauge/gauge-1", b"7")


def test_what_was_never_a_reading_is_passed_over(decoder):
    assert len(decoder.decode(sent(b"1", subject=b"readings.other"))) == 0


def test_a_batch_of_lines_keeps_each_line_apart(decoder):
    lines = b'{"device":"gauge-1","value":1}\n\nnonsense\n{"device":"nobody","value":1}\n{"device":"rain/2","value":2}\n'
    found = decoder.decode(sent(lines, subject=b"readings.lines"))
    words = [Quality(q) for q in found.quality]
    assert words == [Quality.GOOD, Quality.UNREADABLE, Quality.UNKNOWN_DEVICE, Quality.GOOD]
    assert found.part.tolist() == [0, 1, 2, 3]
    assert decoder.look(lines) == {"good": 2, "unreadable": 1, "unknown_device": 1}


broken = st.one_of(
    st.binary(max_size=40), st.text(max_size=40).map(str.encode), st.just(b'{"value": true}'), st.just(b'{"value": "1"}'),
    st.just(b'{"value": 1e999}'), st.just(b'{"value": NaN}'), st.just(b"{}"), st.just(b"[[1]]"),
    st.just(b'{"value":1,"time":"x"}'),
    st.just(b'{"value":1}\n{"value":2}'), st.just(b'{"value":1,"time":-5}'), st.just(b'{"value":1,"time":1e300}'),
    st.just(b'[{"value":1},{"value":2}]'), st.just(b' [ {"value":1} , {"value":2, "time":1794999990} ] '), st.just(b"[]"),
    st.just(b'[{"value":1} {"value":2}]'), st.just(b'[{"value":1},]'), st.just(b'[{"value":1}]]'), st.just(b'[{"value":1},2]'),
    st.just(b'[2,{"value":1}]'), st.just(b'[{"value":1,"unit":"}"}]'), st.just(b"[{"), st.just(b"["),
    st.just(b'[[{"value":1}]]'),
    st.just(b'{"value":1,"time":"0001-01-01T00:00:00+14:00"}'), st.just(b"\n"), st.just(b""), st.just(b'{"value":1,"unit":""}'),
)  # fmt: skip


@given(st.lists(broken, max_size=12))
@settings(max_examples=300, deadline=None)
def test_good_readings_survive_between_any_nonsense_and_all_of_it_is_counted(decoder, nonsense):
    payloads = [p for n, bad in enumerate(nonsense) for p in (bad, b'{"value": %d, "time": 1794999999}' % n)]
    found = decoder.decode(sent(*payloads))
    for n in range(len(nonsense)):
        here = found.sequence == 2 * n + 2
        assert found.value[here].tolist() == [n]
        assert found.quality[here].tolist() == [Quality.GOOD]
    empty_lists = sum(p.strip() == b"[]" for p in nonsense)
    assert len(set(found.sequence.tolist())) == len(payloads) - empty_lists


def packets(*messages, qos=1):
    """A batch as the door writes it."""
    number = b"\0\7" if qos else b""
    made = [packet(0x30 | qos << 1, len(t).to_bytes(2, "big") + t + number + p) for t, p in messages]
    return Messages([b"readings.mqtt"], [b"".join(made)], [9], [NOW])


@given(st.lists(broken, max_size=12), st.sampled_from([0, 1]))
@settings(max_examples=200, deadline=None)
def test_a_batch_of_mqtt_packets_says_the_same_as_its_messages_one_by_one(decoder, nonsense, qos):
    payloads = [p for n, bad in enumerate(nonsense) for p in (bad, b'{"value": %d, "time": 1794999999}' % n)]
    alone = decoder.decode(sent(*payloads))
    wanted = [decoder.spoken.message(b"city/river_stage/gauge-1", p) for p in payloads]  # one by one, by another reader
    assert [(s.row, s.quality) for w in wanted for s in w] == list(zip(alone.row, alone.quality, strict=True))
    np.testing.assert_array_equal([s.value for w in wanted for s in w], alone.value)
    batch = decoder.decode(packets(*((b"city/river_stage/gauge-1", p) for p in payloads), qos=qos))
    np.testing.assert_allclose(batch.time, alone.time, rtol=0, atol=1e-4)  # those without a time count on
    for name in ("row", "value", "quality", "arrived"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(batch, name))
    assert [r for _, r in alone.raw.values()] == [r for _, r in batch.raw.values()]
    assert batch.part.tolist() == list(range(len(batch)))


bare = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr), st.integers(-(10**20), 10**20).map(str),
    st.decimals(-1000, 1000, places=3).map(str),
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,20})?([eE][-+]?[0-9]{0,3})?", fullmatch=True),
)  # fmt: skip


@given(bare)
@settings(max_examples=500, deadline=None)
def test_a_number_that_the_kernel_reads_is_the_number_python_reads(text):
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    value, end = number_at(data, 0, len(data))
    if end == len(data):
        assert value == float(text)
        assert math.copysign(1, value) == math.copysign(1, float(json.loads(text)) or float(text))


@given(st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2099, 1, 1)), st.sampled_from(["", "Z", "+05:30", "-11:00"]))
@settings(max_examples=300, deadline=None)
def test_a_moment_that_the_kernel_reads_is_the_moment_python_reads(when, zone):
    text = when.isoformat() + zone
    wanted = dt.datetime.fromisoformat(text)
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    assert moment(data, 0, len(data)) == (wanted if zone else wanted.replace(tzinfo=dt.UTC)).timestamp()


@pytest.mark.parametrize("text", ["2026-02-29T10:00:00", "2026-13-01T10:00:00", "2026-01-01T24:00:00", "2026-01-01 10:00:00",
                                  "2026-01-01T10:00", "2026-01-01T10:00:00+1:00", "2026-01-01T10:00:0x"])  # fmt: skip
def test_what_is_no_plain_moment_is_left_to_others(text):
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    assert np.isnan(moment(data, 0, len(data)))


def test_a_unit_is_converted_the_same_the_first_time_and_when_it_is_known(decoder):
    message = (b"city/river_stage/gauge-1", b'{"value": 150, "unit": "mm", "battery": 3.3, "name": "x", "time": 1794999999}')
    for _ in range(2):
        found = decoder.decode(packets(message, message))
        assert found.value.tolist() == [0.15, 0.15]
        assert found.time.tolist() == [1794999999.0] * 2


def test_an_arrow_batch_is_read_with_its_units_and_its_unknown_devices(decoder):
    (stream,) = write_arrow(["gauge-1", "nobody", "thermo.1", "gauge-1"], [1794999999.0, 1, np.nan, 5e9], [150, 1, 50, 1],
                            ["cm", "cm", "degF", "m"])  # fmt: skip
    found = decoder.decode(Messages([b"readings.arrow"], [stream], [3], [NOW]))
    assert [Quality(q).word for q in found.quality] == ["good", "unknown_device", "good", "future"]
    assert found.row.tolist() == [0, -1, 1, 0]
    assert found.value[[0, 2]] == pytest.approx([1.5, 10.0])
    assert found.time[[0, 2]].tolist() == [1794999999.0, NOW / 1e9 + 2e-6]
    assert found.raw[1][0] == "nobody"


def test_batches_between_other_packets_are_read_in_their_order(decoder):
    (stream,) = write_arrow(["gauge-1"], [1794999999.0], [4.0])
    lines = b'{"device":"gauge-1","value":2}\n{"device":"gauge-1","value":3}'
    plain = b"city/river_stage/gauge-1"
    sent_here = [(plain, b"1"), (b"readings/lines", lines), (b"readings/arrow", stream), (plain, b"5"), (b"readings/x", b"6")]
    found = decoder.decode(packets(*sent_here))
    assert found.value[:5].tolist() == [1, 2, 3, 4, 5]
    assert found.part.tolist() == list(range(6))
    assert Quality(found.quality[5]) == Quality.UNKNOWN_DEVICE


def test_a_message_that_is_no_arrow_stream_is_counted(decoder):
    found = decoder.decode(Messages([b"readings.arrow"], [b"nonsense"], [3], [NOW]))
    assert found.quality.tolist() == [Quality.UNREADABLE]


class Socket:
    """Stands for the transport, only to be written to."""

    def write(self, data):
        self.last = data


def hmsg(sequence, payload, header=b"NATS/1.0\r\nNats-Msg-Id:1\r\n\r\n", subject=b"city.noise.a"):
    reply = b"$JS.ACK.readings.twin_1.1.%d.%d.%d.0" % (sequence, sequence, NOW)
    line = b"HMSG %s 1 %s %d %d\r\n" % (subject, reply, len(header), len(header) + len(payload))
    return line + header + payload + b"\r\n"


@given(st.lists(st.binary(max_size=30), max_size=8), st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_messages_are_the_same_however_the_socket_cuts_them(payloads, size):
    stream = b"INFO {}\r\n" + b"".join(hmsg(i + 1, p) for i, p in enumerate(payloads)) + b"PING\r\n"
    connection = PullConnection("s", "c")
    connection._transport = socket = Socket()
    for at in range(0, len(stream), size):
        connection.data_received(stream[at : at + size])
    assert connection._messages.payload == payloads
    assert connection._messages.sequence == list(range(1, len(payloads) + 1))
    assert socket.last == b"PONG\r\n"


def test_a_copy_that_the_door_handed_to_the_broker_is_not_read_as_a_reading():
    connection = PullConnection("s", "c")
    connection.data_received(hmsg(1, b"1") + hmsg(2, b"1", header=b"NATS/1.0\r\nNmqtt-Pub:0\r\n\r\n"))
    assert (connection._messages.sequence, connection._messages.last) == ([1], 2)


@pytest.mark.parametrize("deep", [b'{"value": 1, "more": ' + b"[" * 100_000, b"[" * 100_000, b'{"value": ' * 100_000])
def test_nesting_that_no_reader_follows_is_counted_and_the_good_beside_it_kept(decoder, deep):
    """`msgspec` raises RecursionError there, which is no kind of its own errors."""
    found = decoder.decode(sent(b"1", deep, b"2"))
    assert [Quality(q) for q in found.quality] == [Quality.GOOD, Quality.UNREADABLE, Quality.GOOD]
    lines = decoder.decode(sent(b'{"device": "gauge-1", "value": 1}\n' + deep, subject=b"readings.lines"))
    assert [Quality(q) for q in lines.quality] == [Quality.GOOD, Quality.UNREADABLE]
    assert read_notice(b'{"type": "judgement", "more": ' + deep) is None


def test_a_batch_that_was_looked_at_is_the_same_when_it_comes_out_of_the_log_once_and_again(decoder):
    known = b'{"device":"gauge-1","value":2}\n\n{"device":"gauge-1","value":3,"time":1794999999}\n'
    lines = known + b'{"device":"nobody","value":1}\nx\n'
    fresh = decoder.decode(Messages([b"readings.lines"], [lines], [7], [NOW], 7))
    assert decoder.look(lines) == {"good": 2, "unknown_device": 1, "unreadable": 1}
    for place in (7, 8):  # the second time nobody looked before
        found = decoder.decode(Messages([b"readings.lines"], [lines], [place], [NOW], place))
        assert found.sequence.tolist() == [place] * 4
        for name in ("row", "time", "value", "quality", "part"):
            np.testing.assert_array_equal(getattr(found, name), getattr(fresh, name))
        assert found.raw == fresh.raw


def test_batches_that_never_reach_the_log_do_not_fill_the_memory(decoder):
    for number in range(100):
        decoder.look(b'{"device":"gauge-1","value":%d}' % number)
    assert len(decoder._looked) <= 8
