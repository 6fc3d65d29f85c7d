"""The HTTP service: brain-MRI slices in, calibrated answers out."""
