"""Readings in: from the broker, HTTP, files and a simulated fleet."""
