"""The door: our own MQTT 3.1.1 endpoint for devices, a child process in front of the broker.

Readings are gathered over all connections into batches and acknowledged when the log has them; everything else is handed to
the broker's MQTT through a connection of the same name. See docs/adr/0013-devices-meet-our-own-door.md.
"""
