"""Where readings stand in the log: the NATS subjects of its messages."""

LINES = "readings.lines"  # JSON lines
ARROW = "readings.arrow"  # an Arrow IPC stream
MQTT = "readings.mqtt"  # MQTT PUBLISH packets one after the other, as our door gathered them
BATCHES = (b"readings/lines", b"readings/arrow")  # MQTT topics of whole batches
SINGLE = "city."  # city.<kind>.<device>: one message of a NATS client
