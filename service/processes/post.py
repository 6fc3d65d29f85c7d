"""Messages between two processes, and open files with them: a JSON object a line over a Unix socket."""

import asyncio
import json
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Message = dict[str, Any]
MOST_DESCRIPTORS = 4
"""Files that may come with one message."""


class Post:
    """One end of a Unix stream socket; `send` may be called by any thread, `receive` by one."""

    def __init__(self, end: socket.socket, timeout: float | None = None) -> None:
        end.settimeout(timeout)
        self._socket = end
        self._writing = threading.Lock()
        self._rest = b""
        self._descriptors: list[int] = []

    @property
    def has_room(self) -> bool:
        """Whether messages are being read: those to a peer that hangs pile up until `send` would wait for it."""
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLOUT)
        except ValueError:  # it is closed
            return False
        return bool(poll.poll(0))

    def send(self, message: Message, *descriptors: int) -> None:
        """Send a message, with copies of the open files `descriptors`; raises `OSError` where nobody listens."""
        line = encode({**message, "descriptors": len(descriptors)})
        with self._writing:
            sent = socket.send_fds(self._socket, [line], descriptors) if descriptors else 0
            self._socket.sendall(line[sent:])

    def receive(self) -> tuple[Message, list[int]] | None:
        """The next message and the files that came with it, now the caller's; None where the peer is gone or silent."""
        while b"\n" not in self._rest:
            try:
                chunk, descriptors, _, _ = socket.recv_fds(self._socket, 1 << 16, MOST_DESCRIPTORS)
            except OSError:
                return None
            if not chunk:
                return None
            self._rest += chunk
            self._descriptors += descriptors
        line, _, self._rest = self._rest.partition(b"\n")
        message = json.loads(line)
        count = message.pop("descriptors")
        taken, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return message, taken

    def listen(self, heard: Callable[[Message, list[int]], None], ended: Callable[[], None]) -> None:
        """From now on call `heard` in the running event loop for each message, and `ended` once the peer is gone.

        A thread of its own reads, so that the end of the peer is noticed whatever the loop is busy with.
        """
        loop = asyncio.get_running_loop()

        def read() -> None:
            with suppress(RuntimeError):  # the loop may close first, and then nobody needs to know
                while message := self.receive():
                    loop.call_soon_threadsafe(heard, *message)
                loop.call_soon_threadsafe(ended)

        threading.Thread(target=read, name="post", daemon=True).start()

    def detach(self) -> tuple[socket.socket, bytes]:
        """The socket, for others to use, and what has been read of it beyond the last message."""
        return self._socket, self._rest

    def close(self) -> None:
        """Hang up; a thread that reads finds the end."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def encode(message: Message) -> bytes:
    """The message as its line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
