import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from service.processes.child import NOT_STARTED, Child
from service.processes.nursery import Nursery
from service.processes.post import Message, Post
from tests.loop import run

ECHO = """
import socket, sys
from service.processes.post import Post
post = Post(socket.socket(fileno=int(sys.argv[1])))
while received := post.receive():
    post.send(received[0])
"""


@pytest.fixture
def nursery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nursery:
    (tmp_path / "echo.py").write_text(ECHO)
    root = Path(__file__).resolve().parents[3]
    monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{tmp_path}")
    return Nursery("echo", ())


def test_a_spare_is_there_before_it_is_needed_and_is_taken_once(nursery: Nursery) -> None:
    async def work() -> None:
        await nursery.refill()
        await nursery.refill()
        assert nursery._spare is not None
        waiting = nursery._spare.process.pid
        first, second = await nursery.take(), await nursery.take()
        assert (first.process.pid, second.process.pid != waiting) == (waiting, True)
        for number, started in enumerate((first, second)):
            started.post.send({"number": number})
            assert await asyncio.to_thread(started.post.receive) == ({"number": number}, [])
            started.post.close()
            assert await started.process.wait() == 0

    run(work)


def test_a_spare_that_died_is_not_handed_out_and_one_let_go_ends(nursery: Nursery) -> None:
    async def work() -> None:
        await nursery.refill()
        assert nursery._spare is not None
        dead = nursery._spare
        os.kill(dead.process.pid, signal.SIGKILL)
        await dead.process.wait()
        dead.post.close()
        await nursery.refill()
        assert nursery._spare.process.pid != dead.process.pid
        nursery.dismiss()
        await nursery.gone()
        assert nursery._spare.process.returncode == 0

    run(work)


@pytest.mark.parametrize(
    "error", [BlockingIOError(11, "Resource temporarily unavailable"), RuntimeError("can't start new thread")]
)
def test_where_no_process_is_left_there_is_no_spare_and_a_child_is_started_later(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def none_left(*_: str, **__: Any) -> asyncio.subprocess.Process:
        raise error

    async def work() -> None:
        heard = asyncio.Event()
        child = Child("front-0", nursery, {"place": 0}, lambda *_: heard.set())
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "create_subprocess_exec", none_left)
            await nursery.refill()
            assert nursery._spare is None
            assert await child.run() == NOT_STARTED
            await child.wait_to_restart(asyncio.Event())
        living = asyncio.create_task(child.run())
        await heard.wait()
        child.hang_up()
        assert await living == 0

    run(work)


def test_a_child_that_no_thread_is_left_for_ends_instead_of_staying_unheard(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def work() -> None:
        child = Child("front-0", nursery, {"place": 0}, lambda *_: None)
        await nursery.refill()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", none_left)
            assert await asyncio.wait_for(child.run(), 30) == 0

    run(work)


def test_last_words_that_come_after_the_end_of_a_process_are_not_its_successors(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[Any] = []
    listen = Post.listen

    def overheard(post: Post, heard: Any, ended: Any) -> None:
        lines.append(heard)
        listen(post, heard, ended)

    async def work() -> None:
        heard: list[Message] = []
        begun = asyncio.Event()

        def hear(_: Child, message: Message, __: list[int]) -> None:
            heard.append(message)
            begun.set()

        child = Child("front-0", nursery, {"place": 0}, hear)
        living = asyncio.create_task(child.run())
        await begun.wait()
        child.hang_up()
        await living
        lines[0]({"report": None}, [])
        assert heard == [{"place": 0}]

    monkeypatch.setattr(Post, "listen", overheard)
    run(work)
