"""Earthquake: shaking with its uncertainty, damage, and who needs help where."""
