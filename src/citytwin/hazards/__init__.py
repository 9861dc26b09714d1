"""Hazards: each floods, shakes or infects the city through its declared columns."""
