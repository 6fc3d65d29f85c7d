"""Markers planted wherever a patient's name may come in, and looked for wherever anything goes out."""

import json
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image, PngImagePlugin

from service.keys import KeyList, make_key, write_keys
from tests.bundles import write_bundle
from tests.e2e.conftest import start
from tests.explainable import write_explainable_bundle
from tests.pictures import draw, encode

MARKER = "Zebedee^Doe=19700101"
"""Shaped as DICOM writes a patient's name; no request id may look like it."""
PLAIN = "Zebedee"


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP receiver on this machine: its address, and every body that came."""
    bodies: list[bytes] = []

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Takes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
        server.shutdown()


def marked_png(broken: bool = False) -> bytes:
    """A PNG with the marker in its text chunks and its EXIF, and in a chunk of no known kind."""
    text, exif = PngImagePlugin.PngInfo(), Image.Exif()
    text.add_text("Patient", MARKER)
    text.add_text("Comment", MARKER, zip=True)
    text.add_itxt("Author", MARKER)
    exif[0x010E] = exif[0x013B] = MARKER
    content = encode(draw(1), "PNG", pnginfo=text, exif=exif)
    body = b"paTi" + MARKER.encode()
    content = (
        content[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + content[33:]
    )
    return content[:-300] if broken else content


def marked_jpeg() -> bytes:
    """A JPEG with the marker in its EXIF and its comment."""
    exif = Image.Exif()
    exif[0x010E] = MARKER
    return encode(draw(2), "JPEG", exif=exif, comment=MARKER.encode())


NAMES = (
    "User-Agent Referer Cookie X-Forwarded-For Forwarded X-Patient X-Request-ID tracestate baggage traceparent "
    "Content-Language Accept-Language Origin From"
)
HEADERS = dict.fromkeys(NAMES.split(), MARKER)
QUERIES = (
    f"model={MARKER}",
    f"version={MARKER}",
    f"{MARKER}={MARKER}",
    f"target={MARKER}&method={MARKER}",
    f"layer={MARKER}",
    f"colormap={MARKER}&alpha={MARKER}",
)
PATHS = (
    "/predict",
    f"/{MARKER}",
    f"/models/{MARKER}",
    f"/models/tiny/versions/{MARKER}",
    f"/docs/assets/{MARKER}",
    f"/?{MARKER}",
)
PICTURES = (marked_png(), marked_jpeg(), marked_png(broken=True), MARKER.encode(), b"BM" + MARKER.encode(), b"")


def send_everything(client: httpx2.Client) -> Iterator[httpx2.Response]:
    """Requests that are answered and requests that are refused, with the marker all over them."""
    for route, field in (("/predict", "file"), ("/explain", "file"), ("/predict/batch", "files")):
        for content in PICTURES:
            named = (f"{MARKER}.png", content, f"image/{MARKER}")
            yield client.post(route, content=content, headers={"Content-Type": f"image/{MARKER}"})
            yield client.post(route, files=[(field, named)], data={MARKER: MARKER, "patient": MARKER})
            yield client.post(route, files=[(MARKER, named)])
        for query in QUERIES:
            yield client.post(f"{route}?{query}", content=PICTURES[0])
        form = {"Content-Type": f"multipart/form-data; boundary={MARKER}"}
        yield client.post(route, content=MARKER.encode(), headers=form)
        yield client.post(route, content=PICTURES[0], headers={"X-API-Key": MARKER})
        yield client.post(route, content=PICTURES[0], headers={"Authorization": f"Bearer {MARKER}.{MARKER}.x"})
    for path in PATHS:
        yield client.get(path)
    yield client.request(PLAIN.upper(), "/predict")


def test_nothing_of_a_patient_leaves_by_log_error_metric_audit_or_trace(tmp_path: Path) -> None:
    write_bundle(tmp_path / "models")
    write_explainable_bundle(tmp_path / "models", "explains")
    text, key = make_key("gateway", frozenset({"predict", "explain"}))
    write_keys(tmp_path / "keys.json", KeyList(keys=(key,)))
    audit = tmp_path / "audit.jsonl"
    with collector() as (endpoint, traces):
        chosen = {"keys": str(tmp_path / "keys.json"), "audit": str(audit), "otlp_endpoint": endpoint}
        chosen |= {"default_model": "explains", "log_level": "debug", "max_body_bytes": "100000"}
        server = start(tmp_path, tmp_path / "models", None, None, **chosen)
        with httpx2.Client(base_url=server.url, headers=HEADERS | {"X-API-Key": text}, timeout=60) as client:
            sent = list(send_everything(client))
            metrics = client.get("/metrics").text
        assert server.stop() == 0
    log, audited, traced = server.output.read_text(), audit.read_text(), b"".join(traces)
    assert {response.status_code for response in sent} >= {200, 400, 401, 404, 405, 415, 422}
    assert {"key", "image_sha256"} <= set(json.loads(audited.splitlines()[0]))
    assert b"infer explains/1" in traced or b"explain explains/1" in traced
    assert {"unmatched", "/predict", "/explain"} <= routes(log)
    places = {"log": log, "metrics": metrics, "audit": audited, "traces": traced.decode(errors="replace")}
    places |= {f"answer {n} to {each.request.url.path}": whole(each) for n, each in enumerate(sent)}
    assert [place for place, content in places.items() for mark in (PLAIN, PLAIN.upper()) if mark in content] == []


def routes(log: str) -> set[str]:
    """The routes that the log names."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in log.splitlines()]
    return {line["route"] for line in lines if line["event"] == "request"}


def whole(response: httpx2.Response) -> str:
    """Headers and body."""
    return f"{response.headers}{response.text}"
