"""Earthquake: shaking, and the damage that follows."""

from __future__ import annotations

from validation import earthquake_damage, earthquake_shaking

CASES = (*earthquake_shaking.CASES, *earthquake_damage.CASES)
