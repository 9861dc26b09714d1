"""Earthquake: shaking with its uncertainty, damage, and who needs help where."""

from citytwin.hazards.earthquake.simulator import Earthquake

__all__ = ["Earthquake"]
