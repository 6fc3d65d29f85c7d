"""A count of one process; where several add up to one bound, it knows the others' too."""


class Tally:
    """What this process counts, and what all count together: here this process is everybody."""

    def __init__(self) -> None:
        self.own = 0

    @property
    def whole(self) -> int:
        """What all processes count together."""
        return self.own
