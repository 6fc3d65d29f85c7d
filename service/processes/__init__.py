"""Several processes: fronts that decode and speak HTTP, one engine that infers, a supervisor that keeps them alive."""
