"""Messages out: e-mail, webhooks, and what apprise speaks. Channels are declared in a city's `channels.toml`."""

from citytwin.io.channels.channel import Channel, UndeliverableError, UnsentError
from citytwin.io.channels.declared import FILE, declared, read_channels

__all__ = ["FILE", "Channel", "UndeliverableError", "UnsentError", "declared", "read_channels"]
