"""Timings, as ratios measured side by side; nothing here runs in the tests."""
