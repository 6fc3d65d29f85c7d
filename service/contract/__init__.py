"""What gives a model its meaning, written once and used by both `service` and `training`."""
