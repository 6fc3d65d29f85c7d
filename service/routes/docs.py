"""`GET /docs`: Swagger UI from this service's own files, since a hospital's network may reach no other."""

import base64
import hashlib
import re
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from service.routes.readable import readable

SWAGGER = Path(__file__).parents[1] / "web" / "swagger"
"""swagger-ui-dist 5.35.0 from npm, Apache-2.0, with its licence beside it."""
ASSETS = "/docs/assets"
INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

router = APIRouter(include_in_schema=False)


@readable(router, "/docs")
async def docs(request: Request) -> HTMLResponse:
    """The page."""
    html = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon-32x32.png",
    )
    html.headers["Content-Security-Policy"] = policy_for(bytes(html.body))
    return html


def policy_for(html: bytes) -> str:
    """A policy that admits the page's inline script by its digest.

    Swagger UI sets styles, draws data: icons, and shows a PNG that it was given as a blob:.
    """
    digests = [base64.b64encode(hashlib.sha256(each).digest()).decode() for each in INLINE_SCRIPT.findall(html)]
    scripts = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def assets() -> StaticFiles:
    """The page's files."""
    return StaticFiles(directory=SWAGGER)
