"""`GET /docs`: Swagger UI from this service's own files, since a hospital's network may reach no other."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

SWAGGER = Path(__file__).parents[1] / "web" / "swagger"
"""swagger-ui-dist 5.35.0 from npm, Apache-2.0, with its licence beside it."""
ASSETS = "/docs/assets"

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """The page."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon-32x32.png",
    )


def assets() -> StaticFiles:
    """The page's files."""
    return StaticFiles(directory=SWAGGER)
