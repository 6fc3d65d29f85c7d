"""HTTP routes: they translate between the wire and the rest, and do not think."""
