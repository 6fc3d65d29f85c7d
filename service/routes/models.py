"""`GET /models`, one model, one version: what is served, with its card."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from service.catalogue import Catalogue
from service.contract.card import MODEL_FILE
from service.repository import Bundle
from service.routes.access import needs
from service.routes.predict import problems
from service.routes.readable import readable
from service.routes.request import catalogue_of
from service.schemas import Models, ModelView, PlanView, VersionDetail, VersionView

router = APIRouter(prefix="/models", tags=["models"], dependencies=[needs()], responses=problems(401))


@readable(router, "")
async def list_models(request: Request) -> Models:
    """Every model in the repository, broken ones with their reason."""
    catalogue = catalogue_of(request)
    views = [model_view(catalogue, name) for name in catalogue.repository.names]
    return Models(default=catalogue.default, models=views)


@readable(router, "/{name}", responses=problems(404))
async def show_model(request: Request, name: str) -> ModelView:
    """One model with its versions."""
    catalogue = catalogue_of(request)
    catalogue.find(name)
    return model_view(catalogue, name)


@readable(router, "/{name}/versions/{version}", responses=problems(404, 422))
async def show_version(request: Request, name: str, version: Annotated[int, Path(ge=1)]) -> VersionDetail:
    """One version with its card: data, metrics with intervals, limits, intended use."""
    catalogue = catalogue_of(request)
    bundle = catalogue.find(name, version)
    default = name == catalogue.default and bundle == catalogue.find(name)
    return VersionDetail(name=name, default=default, card=bundle.card, **version_fields(catalogue, bundle))


def model_view(catalogue: Catalogue, name: str) -> ModelView:
    """All versions of a model."""
    serving = catalogue.find(name)
    return ModelView(
        name=name,
        default=name == catalogue.default,
        serving_version=serving.version if serving.session else None,
        versions=[
            VersionView(**version_fields(catalogue, bundle))
            for bundle in catalogue.repository.bundles
            if bundle.name == name
        ],
    )


def version_fields(catalogue: Catalogue, bundle: Bundle) -> dict[str, Any]:
    """The fields of `VersionView`."""
    session, card = bundle.session, bundle.card
    return {
        "version": bundle.version,
        "state": catalogue.state(bundle),
        "explain": catalogue.explain_state(bundle),
        "reason": bundle.reason,
        "sha256": card.files[MODEL_FILE] if card else None,
        "precision": card.precision if card else None,
        "provider": session.provider if session else None,
        "plan": PlanView(**{k: v for k, v in asdict(session.plan).items() if k != "provider"}) if session else None,
    }
