import asyncio
import threading
from collections.abc import Callable

import pytest

from service.errors import NotReady
from service.issuer import PAUSE_SECONDS, IssuerKey, IssuerKeys, Keys, fetch_json, fetch_keys, usable
from tests.issuer import public, serving
from tests.loop import run


class Clock:
    """Stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A fetch whose keys, and whose failing, a test sets."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.down = False
        self.fetches = 0

    def __call__(self) -> Keys:
        self.fetches += 1
        if self.down:
            raise OSError
        return {name: IssuerKey(name, None) for name in self.names}


async def found(keys: IssuerKeys, name: str | None) -> str | None:
    key = await keys.find(name)
    return key.public if key else None


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a counter is no event
        await asyncio.sleep(0.001)


def test_a_rotated_key_is_found_at_once_and_the_old_one_no_longer() -> None:
    async def work() -> None:
        source, clock = Source("old"), Clock()
        keys = IssuerKeys(source, 300, 3600, clock)
        assert await found(keys, "old") == "old"
        source.names = ("new",)
        clock.now += PAUSE_SECONDS
        assert (await found(keys, "new"), await found(keys, "old"), source.fetches) == ("new", None, 2)

    run(work)


def test_a_flood_of_unknown_keys_is_no_flood_at_the_issuers() -> None:
    async def work() -> None:
        source, clock = Source("a"), Clock()
        keys = IssuerKeys(source, 300, 3600, clock)
        found_here = await asyncio.gather(*(found(keys, f"invented-{n}") for n in range(50)))
        assert (set(found_here), source.fetches) == ({None}, 1)
        clock.now += PAUSE_SECONDS - 1
        assert (await found(keys, "invented"), source.fetches) == (None, 1)
        clock.now += 1
        assert (await found(keys, "invented"), source.fetches) == (None, 2)

    run(work)


def test_old_keys_are_fetched_again_while_requests_go_on_with_them() -> None:
    async def work() -> None:
        source, clock, gate = Source("a"), Clock(), threading.Event()
        gate.set()

        def fetch() -> Keys:
            assert gate.wait(15)
            return source()

        keys = IssuerKeys(fetch, 300, 3600, clock)
        await found(keys, "a")
        gate.clear()
        clock.now += 301
        assert (await found(keys, "a"), source.fetches) == ("a", 1)
        source.names = ("b",)
        gate.set()
        await until(lambda: source.fetches == 2)
        assert await found(keys, "b") == "b"

    run(work)


def test_an_issuer_that_fails_keeps_its_keys_for_a_time_and_no_longer(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        source, clock = Source("a"), Clock()
        keys = IssuerKeys(source, 300, 3600, clock)
        await found(keys, "a")
        source.down = True
        clock.now += 3600
        assert await found(keys, "a") == "a"
        clock.now += PAUSE_SECONDS + 1
        with pytest.raises(NotReady):
            await found(keys, "a")
        source.down = False
        clock.now += PAUSE_SECONDS
        assert await found(keys, "a") == "a"

    run(work)
    assert "issuer-unreachable" in capsys.readouterr().out


def test_while_the_issuer_fails_an_unknown_key_may_be_a_new_one_and_is_not_refused() -> None:
    async def work() -> None:
        source, clock = Source("old"), Clock()
        keys = IssuerKeys(source, 300, 3600, clock)
        await found(keys, "old")
        source.names, source.down = ("old", "new"), True
        clock.now += PAUSE_SECONDS
        for seconds in (0, 1):
            clock.now += seconds
            with pytest.raises(NotReady):
                await found(keys, "new")
            assert await found(keys, "old") == "old"
        source.down = False
        clock.now += PAUSE_SECONDS
        assert (await found(keys, "new"), await found(keys, "invented")) == ("new", None)

    run(work)


def test_a_caller_that_leaves_does_not_end_the_fetch_for_others() -> None:
    async def work() -> None:
        source, gate = Source("a"), threading.Event()

        def fetch() -> Keys:
            assert gate.wait(15)
            return source()

        keys = IssuerKeys(fetch, 300, 3600, Clock())
        leaver, stayer = (asyncio.create_task(found(keys, "a")) for _ in range(2))
        await asyncio.sleep(0)
        leaver.cancel()
        await asyncio.sleep(0)
        gate.set()
        assert (await stayer, source.fetches) == ("a", 1)

    run(work)


def test_a_token_without_key_id_is_held_against_the_only_key() -> None:
    async def work() -> None:
        assert await found(IssuerKeys(Source("a"), 300, 3600, Clock()), None) == "a"
        assert await found(IssuerKeys(Source("a", "b"), 300, 3600, Clock()), None) is None

    run(work)


def test_keys_come_from_the_discovery_document_or_straight_from_a_url() -> None:
    with serving() as issuer:
        assert set(fetch_keys(issuer.url, None)) == set(fetch_keys(issuer.url, f"{issuer.url}/jwks")) == {"first"}
        issuer.claimed = "https://another.example"
        with pytest.raises(ValueError, match="another issuer"):
            fetch_keys(issuer.url, None)
        issuer.down = True
        with pytest.raises(OSError, match="503"):
            fetch_keys(issuer.url, None)


def test_keys_that_could_not_verify_are_left_out() -> None:
    with serving() as issuer:
        sound = public("a", issuer.keys["first"])
        issuer.more = [{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}, {"kty": "RSA", "kid": "x"}, "text", None]
        assert set(fetch_keys(issuer.url, None)) == {"first"}
        issuer.keys = {}
        with pytest.raises(ValueError, match="no public signing key"):
            fetch_keys(issuer.url, None)
    assert usable(sound)
    assert usable(sound | {"use": "enc"}) is None


@pytest.mark.parametrize("url", ["http://10.0.0.1/jwks", "file:///etc/passwd", "ftp://localhost/x", "https://", "x"])
def test_keys_are_asked_for_by_no_way_that_others_can_change(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        fetch_json(url)
