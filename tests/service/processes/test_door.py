import asyncio
import gc
import socket
import ssl
from typing import Any

import uvicorn

from service.connection import punctual
from service.intake import Intake
from service.processes.door import Door, FrontServer
from tests.loop import run


async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI's signature
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_idle_fronts_share_the_connections_of_one_socket() -> None:
    async def work() -> None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        config = uvicorn.Config(app, lifespan="off", log_config=None)
        servers = [FrontServer(config, Intake(1, 1, 1), 0, 1) for _ in range(2)]
        serving = [asyncio.create_task(server._serve([listening.dup()])) for server in servers]
        while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn's flag is no event
            await asyncio.sleep(0.01)
        address = listening.getsockname()
        clients = await asyncio.gather(*(asyncio.open_connection(*address) for _ in range(40)))
        for reader, writer in clients:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        shares = [len(server.server_state.connections) for server in servers]
        assert sum(shares) == 40
        assert min(shares) > 0
        for _, writer in clients:
            writer.close()
            await writer.wait_closed()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)
        assert not any(server.door._open for server in servers)
        listening.close()

    run(work)


def test_a_client_that_speaks_no_tls_is_turned_away_without_a_word_in_the_log() -> None:
    async def work() -> None:
        said: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=punctual(10), lifespan="off", log_config=None)
        config.load()
        config.ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        door = Door(listening, config, server)
        door.open()
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        await door.wait_closed()
        door.close()
        gc.collect()
        assert said == []

    run(work)
