"""MQTT 3.1.1 control packets, as far as a door needs to understand them.

OASIS MQTT 3.1.1, http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html, sections 2.2 and 3.1-3.14.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x10, 0x20, 0x30, 0x40, 0x50, 0x62, 0x70
PINGREQ, PINGRESP, DISCONNECT = 0xC0, 0xD0, 0xE0
WELCOME, WRONG_VERSION, WRONG_NAME = b"\x20\x02\x00\x00", b"\x20\x02\x00\x01", b"\x20\x02\x00\x02"
PONG = b"\xd0\x00"
MOST_BYTES = 4 << 20  # of one packet; the broker takes messages of 8 MiB


class PacketError(Exception):
    """Bytes that are no MQTT."""


def body_of(data: bytes, at: int) -> tuple[int, int]:
    """Where the body of the packet at `at` begins and ends (section 2.2.3); (0, 0) where `data` does not tell yet."""
    length, shift = 0, 0
    for place in range(at + 1, at + 5):
        if place >= len(data):
            return 0, 0
        digit = data[place]
        length |= (digit & 0x7F) << shift
        if digit < 0x80:
            if length > MOST_BYTES:
                raise PacketError(f"a packet of {length} bytes")
            return place + 1, place + 1 + length
        shift += 7
    raise PacketError("a length of more than four bytes")


@dataclass(frozen=True)
class Hello:
    """What a CONNECT packet says. `silent`: the packet again with a keep alive of 0, for a peer that need not watch."""

    name: bytes
    clean: bool
    will: bool
    keep_alive: int
    silent: bytes


def hello(packet: bytes, begin: int) -> Hello | bytes:
    """Read a CONNECT whose body begins at `begin`; or the CONNACK that refuses it. Raises PacketError."""
    try:
        (size,) = struct.unpack_from(">H", packet, begin)
        protocol = packet[begin + 2 : begin + 2 + size]
        level, flags, keep_alive, length = struct.unpack_from(">BBHH", packet, begin + 2 + size)
    except struct.error as error:
        raise PacketError("a CONNECT that ends early") from error
    if protocol != b"MQTT" or level != 4:
        return WRONG_VERSION
    at = begin + 2 + size + 6
    name = packet[at : at + length]
    if flags & 1 or len(name) != length:
        raise PacketError("a CONNECT that is wrong")
    clean = bool(flags & 2)
    if not name and not clean:
        return WRONG_NAME
    keep = begin + 2 + size + 2
    return Hello(name, clean, bool(flags & 4), keep_alive, packet[:keep] + b"\0\0" + packet[keep + 2 :])
