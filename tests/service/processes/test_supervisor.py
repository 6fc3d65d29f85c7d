import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service.processes.supervisor import bound_socket

ROOT = Path(__file__).resolve().parents[3]
IMPATIENT = """
import service.processes.supervisor as supervisor, service.logs as logs, service.settings as settings
supervisor.LOOK_SECONDS, supervisor.MOST_VAIN_LOOKS = 0.1, 40
raise SystemExit(supervisor.supervise(settings.read_settings(), logs.configure("info")))
"""


def test_a_port_that_is_taken_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"127.0.0.1:{port} cannot be listened on"):
            bound_socket("127.0.0.1", port)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")
def test_a_process_that_hangs_is_started_again_however_often_metrics_are_asked_for(
    models: Path, tmp_path: Path
) -> None:
    settings = {"MODELS": str(models), "PROVIDER": "cpu", "WORKERS": "2", "PORT": "0"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **{f"NEUROTRIAGE_{k}": v for k, v in settings.items()}}

    async def work() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", IMPATIENT, env=environment, cwd=tmp_path, stdout=subprocess.PIPE
        )
        try:
            port = json.loads(await said(process, '"event": "listening"'))["port"]
            await said(process, "Application startup complete")
            os.kill(engine_of(process.pid), signal.SIGSTOP)
            asking = [await metrics_asked(port) for _ in range(400)]  # more than its line has room for
            await said(process, "process hangs")
            await said(process, '"event": "model"')
            for writer in asking:
                writer.close()
            process.terminate()
            await process.communicate()
            assert process.returncode == 0
        finally:
            if process.returncode is None:
                process.kill()

    asyncio.run(asyncio.wait_for(work(), 120))


async def said(process: asyncio.subprocess.Process, words: str) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        if words in line.decode():
            return line.decode()
    pytest.fail(f"it never said {words!r}")


async def metrics_asked(port: int) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    return writer


def engine_of(supervisor: int) -> int:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return next(int(pid) for pid in children if "processes.engine" in Path(f"/proc/{pid}/cmdline").read_text())
