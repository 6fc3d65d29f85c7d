"""What recipes and what is written of runs have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, lt=1)]
Span = Annotated[float, Field(ge=0, lt=1)]


class Strict(BaseModel):
    """Fields that never change, of which none may be misspelt."""

    model_config = ConfigDict(extra="forbid", frozen=True)
