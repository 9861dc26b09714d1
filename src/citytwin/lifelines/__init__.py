"""Lifelines: networks that fail and recover with what they depend on."""
