"""From finished runs to the evidence of `training/RESULTS.md`."""
