import pytest

from service import rates
from service.errors import RateLimited
from service.rates import Rates


class Clock:
    """Stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(bucket: Rates, client: str, tries: int = 100) -> int:
    """How many of some tries in a row were let through."""
    count = 0
    for _ in range(tries):
        try:
            bucket.admit(client)
        except RateLimited:
            continue
        count += 1
    return count


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    clock = Clock()
    bucket = Rates(60, 5, clock)
    assert admitted(bucket, "a") == 5
    clock.now += 2
    assert admitted(bucket, "a") == 2
    clock.now += 1000
    assert admitted(bucket, "a") == 5


def test_one_clients_flood_costs_another_nothing() -> None:
    bucket = Rates(60, 5, Clock())
    assert (admitted(bucket, "a"), admitted(bucket, "b")) == (5, 5)


def test_the_refusal_names_the_time_after_which_asking_helps() -> None:
    clock = Clock()
    bucket = Rates(6, 1, clock)
    bucket.admit("a")
    with pytest.raises(RateLimited) as refused:
        bucket.admit("a")
    seconds = int(refused.value.headers["Retry-After"])
    assert seconds == 10
    clock.now += seconds - 1
    assert admitted(bucket, "a") == 0
    clock.now += 1
    assert admitted(bucket, "a") == 1


def test_a_batch_beyond_the_burst_is_owed() -> None:
    clock = Clock()
    bucket = Rates(60, 5, clock)
    bucket.admit("a")
    bucket.charge("a", 14)
    clock.now += 10
    assert admitted(bucket, "a") == 0
    clock.now += 1
    assert admitted(bucket, "a") == 1


def test_clients_without_end_are_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_CLIENTS", 3)
    bucket = Rates(60, 1, Clock())
    for client in "abcd":
        bucket.admit(client)
    assert [admitted(bucket, client) for client in "dcba"] == [0, 0, 0, 1]
