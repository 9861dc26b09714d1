"""Malformed messages do no harm; `validation/live_fuzz.py` sends a million, here are a few thousand."""

from __future__ import annotations

from validation import live_fuzz


def test_of_thousands_of_malformed_messages_none_does_harm_and_the_good_ones_between_them_are_all_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(live_fuzz, "CORPUS", 150)
    found = live_fuzz.fuzzed(tmp_path, 4000, 5)
    assert (found["good"], found["lost"], found["twice"], found["quiet"]) == (800, 0, 0, 0)
    assert found["counted"] == found["in_files"]
    assert {"good", "unreadable", "unknown_device", "outside_bounds"} <= set(found["counts"])
