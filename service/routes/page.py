"""`GET /`: the page for people, from this service's own files, whose address changes when they do."""

import hashlib
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from service.routes.readable import readable

PAGE = Path(__file__).parents[1] / "web" / "page"
HTML = "index.html"
ASSETS = "/page"
TYPES = MappingProxyType({".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"})
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Nothing inline, nothing from elsewhere, no text that becomes markup: file names and problems are other people's."""
SAFE = MappingProxyType({"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"})
FOREVER = "public, max-age=31536000, immutable"


def page_router() -> APIRouter:
    """Routes for the page's files as they are now; they are read once and held in memory."""
    files = {path.name: path.read_bytes() for path in sorted(PAGE.iterdir())}
    mark = fingerprint(files)
    html = with_addresses(files.pop(HTML).decode(), mark, list(files))
    router = APIRouter(include_in_schema=False)

    @readable(router, "/")
    async def page(request: Request) -> Response:
        """The page itself, asked for again each time, so that its files' addresses are never old."""
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "ETag": f'"{mark}"', **SAFE}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(html, media_type="text/html", headers=headers)

    @readable(router, f"{ASSETS}/{{fingerprint}}/{{name}}")
    async def asset(fingerprint: str, name: str) -> Response:
        """One file, which never changes at this address."""
        if fingerprint != mark or name not in files:
            raise HTTPException(404)
        headers = {"Cache-Control": FOREVER, **SAFE}
        return Response(files[name], media_type=TYPES[Path(name).suffix], headers=headers)

    return router


def fingerprint(files: dict[str, bytes]) -> str:
    """A name for these files as they are: one for all, because modules import each other by relative addresses."""
    digests = [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in files.items()]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]


def with_addresses(html: str, mark: str, names: list[str]) -> str:
    """The page with its files' addresses, and its modules named early so that they are fetched side by side."""
    modules = [name for name in names if name.endswith(".js")]
    links = [f'<link rel="modulepreload" href="{ASSETS}/{mark}/{name}">' for name in modules]
    return html.replace("{modules}", "\n  ".join(links)).replace("{assets}", f"{ASSETS}/{mark}")
