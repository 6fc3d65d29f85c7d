import asyncio
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
def test_a_process_that_hangs_is_killed_and_started_again(models: Path, tmp_path: Path) -> None:
    settings = {"MODELS": str(models), "PROVIDER": "cpu", "WORKERS": "2", "PORT": "0"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **{f"NEUROTRIAGE_{k}": v for k, v in settings.items()}}

    async def work() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", IMPATIENT, env=environment, cwd=tmp_path, stdout=subprocess.PIPE
        )
        try:
            await said(process, "Application startup complete")
            os.kill(engine_of(process.pid), signal.SIGSTOP)
            await said(process, "process hangs")
            await said(process, '"event": "model"')
            process.terminate()
            await process.communicate()
            assert process.returncode == 0
        finally:
            if process.returncode is None:
                process.kill()

    asyncio.run(asyncio.wait_for(work(), 120))


async def said(process: asyncio.subprocess.Process, words: str) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        if words in line.decode():
            return
    pytest.fail(f"it never said {words!r}")


def engine_of(supervisor: int) -> int:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return next(int(pid) for pid in children if "processes.engine" in Path(f"/proc/{pid}/cmdline").read_text())
