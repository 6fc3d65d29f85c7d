import asyncio
import os
import socket
from typing import Any

from service.processes.post import Post
from tests.loop import run


def test_messages_come_in_order_with_their_own_files() -> None:
    ours, theirs = (Post(end) for end in socket.socketpair())
    files = [os.memfd_create(name) for name in "ab"]
    for number, descriptor in enumerate(files):
        os.write(descriptor, b"%d" % number)
    ours.send({"first": 1})
    ours.send({"second": "x" * 200_000}, *files)
    ours.send({"third": 3})
    received = [theirs.receive() for _ in range(3)]
    assert [list(each[0]) for each in received if each] == [["first"], ["second"], ["third"]]
    copies = [each[1] for each in received if each]
    assert [len(each) for each in copies] == [0, 2, 0]
    assert [os.pread(descriptor, 9, 0) for descriptor in copies[1]] == [b"0", b"1"]
    for descriptor in (*files, *copies[1]):
        os.close(descriptor)
    ours.close()
    theirs.close()


def test_a_peer_that_is_gone_is_the_end() -> None:
    ours, theirs = (Post(end) for end in socket.socketpair())
    ours.send({"last": 1})
    ours.close()
    assert theirs.receive() == ({"last": 1}, [])
    assert theirs.receive() is None
    theirs.close()


def test_a_peer_that_does_not_read_is_told_before_a_message_would_have_to_wait_for_it() -> None:
    ours, theirs = (Post(end) for end in socket.socketpair())
    sent = 0
    while ours.has_room and sent < 10_000:
        ours.send({"number": sent})
        sent += 1
    assert 10 < sent < 10_000
    for _ in range(sent):
        theirs.receive()
    assert ours.has_room
    ours.close()
    assert not ours.has_room
    theirs.close()


def test_a_listener_hears_all_and_then_the_end() -> None:
    async def work() -> None:
        ours, theirs = (Post(end) for end in socket.socketpair())
        heard: list[dict[str, Any]] = []
        ended = asyncio.Event()
        theirs.listen(lambda message, _: heard.append(message), ended.set)
        for number in range(100):
            ours.send({"number": number})
        ours.close()
        await ended.wait()
        assert [message["number"] for message in heard] == list(range(100))
        theirs.close()

    run(work)
