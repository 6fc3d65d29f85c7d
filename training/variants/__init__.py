"""The same network made cheaper to run, as a run of its own, and held against the version that it comes from."""
