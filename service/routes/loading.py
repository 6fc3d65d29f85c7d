"""`POST /models/{name}/load` and `/unload`: for keys of the scope `admin` alone."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from service.errors import Forbidden
from service.routes.access import work
from service.routes.models import model_view
from service.routes.predict import problems
from service.routes.request import catalogue_of
from service.schemas import LoadQuery, ModelView

Version = Annotated[LoadQuery, Query()]


async def only_with_keys(request: Request) -> None:
    """Refuse where no key is asked for: any web page that the operator opens could send these requests too."""
    if request.app.state.callers is None:
        raise Forbidden("it needs a key with the scope 'admin', and this service asks for no keys")


router = APIRouter(
    prefix="/models",
    tags=["models"],
    dependencies=[*work("admin"), Depends(only_with_keys)],
    responses=problems(401, 403, 404, 422, 429, 503),
)


@router.post("/{name}/load", responses=problems(409))
async def load(request: Request, name: str, query: Version) -> ModelView:
    """Open a version from the repository as it is now, the highest where none is named; it serves from then on.

    A version that serves already is opened again. Requests in flight end on what they began with. Where it cannot be
    opened the answer is 409 with the reason, and what served before goes on. Of several processes all go by it before
    the answer comes, but for one that takes longer than 10 s.
    """
    catalogue = catalogue_of(request)
    bundle = await catalogue.load(name, query.version)
    request.state.noted.update(model=name, version=bundle.version)
    return model_view(catalogue, name)


@router.post("/{name}/unload")
async def unload(request: Request, name: str, query: Version) -> ModelView:
    """Let a version, or the whole model where none is named, serve no more; requests in flight still end on it.

    What is left answers: the highest version that serves. The default model stays the default, and without a version
    that serves it is refused as `not-ready`, which `/readyz` says too.
    """
    catalogue = catalogue_of(request)
    await catalogue.unload(name, query.version)
    return model_view(catalogue, name)
