"""What routes read from a request: pictures, and whether anyone still listens."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from service.catalogue import Catalogue
from service.errors import BodyTooLarge, BrokenForm, ClientGone, MissingFile, SeveralFiles
from service.intake import Visit
from service.priorities import Priority, Urgency

T = TypeVar("T")

TIMEOUT_MS = "X-Request-Timeout-Ms"
TimeoutMs = Annotated[
    int | None,
    Header(
        alias=TIMEOUT_MS,
        ge=1,
        le=10**12,
        description="Milliseconds from the last byte sent after which the answer is of no use: 504, and what still "
        "waits is not computed. It shortens the service's own deadline and never lengthens it.",
    ),
]


class _InMemoryParser(MultiPartParser):
    """Keeps uploads in memory, which the body limit bounds: no picture of a patient reaches a disk."""

    spool_max_size = 2**62

    ended = False
    """Whether the closing boundary has come: a form cut off before it may have lost files."""

    def on_end(self) -> None:
        """The closing boundary."""
        self.ended = True

    def close(self) -> None:
        """Close every file begun, finished or not."""
        for file in self._files_to_close_on_error:
            file.close()


def catalogue_of(request: Request) -> Catalogue:
    """The app's catalogue."""
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


def urgency_of(priority: Priority, timeout_ms: int | None) -> Urgency:
    """How soon an answer is needed, counted from now, when the last byte has come."""
    return Urgency(priority, math.inf if timeout_ms is None else time.perf_counter() + timeout_ms / 1000)


def request_id_of(request: Request) -> str:
    """The id that this request goes by in answers and logs."""
    return str(request.state.request_id)


async def read_picture(request: Request, max_bytes: int) -> bytes:
    """The one picture of a request: the multipart field `file`, or else the raw body."""
    if not _is_multipart(request):
        return b"".join([chunk async for chunk in limited_body(request, max_bytes)])
    pictures = await read_pictures(request, "file", max_bytes, most=1)
    return pictures[0]


async def read_pictures(request: Request, field: str, max_bytes: int, most: int) -> list[bytes]:
    """The files of a multipart field, in order; raises `MissingFile`, `SeveralFiles` or `BrokenForm`."""
    if not _is_multipart(request):
        raise MissingFile("send multipart/form-data")
    parser = _InMemoryParser(request.headers, limited_body(request, max_bytes), max_files=most)
    try:
        form = await parser.parse()
        if not parser.ended:
            raise BrokenForm("the form ends before its closing boundary")
        return await _files(form, field)
    except UnicodeError as error:
        raise BrokenForm from error
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise SeveralFiles(f"at most {most} are taken", limit_files=most) from error
        raise BrokenForm from error
    finally:
        parser.close()


async def _files(form: FormData, field: str) -> list[bytes]:
    files = [part for part in form.getlist(field) if isinstance(part, UploadFile)]
    if not files:
        raise MissingFile(f"the form has no file field {field!r}")
    return [await _content(part) for part in files]


async def _content(part: UploadFile) -> bytes:
    """The file's bytes, of which the form then keeps no second copy."""
    content = await part.read()
    await part.close()
    return content


async def limited_body(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body's chunks as they arrive; raises `BodyTooLarge` where more is declared, or comes, than is taken.

    Raises `NoRoom` and `SlowBody` as its visit does.
    """
    too_large = BodyTooLarge(f"at most {max_bytes} bytes are taken", limit_bytes=max_bytes)
    length = request.headers.get("content-length", "0")
    declared = int(length) if length.isdecimal() else 0
    if declared > max_bytes:
        raise too_large
    visit: Visit = request.state.visit
    try:
        async for chunk in visit.receive(request.stream(), declared):
            if visit.held_bytes > max_bytes:
                raise too_large
            yield chunk
    except ClientDisconnect:
        raise ClientGone from None


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled with `ClientGone` as soon as the client hangs up."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _is_multipart(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"
