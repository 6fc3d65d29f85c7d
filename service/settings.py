"""Every knob, typed, with what each extreme costs; set by `NEUROTRIAGE_…` variables or a `.env` file."""

import os
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "NEUROTRIAGE_"
DOTENV = ".env"
PILLOW_BOMB_LIMIT = 89_478_485
"""Pixels from which Pillow itself warns; our own cap stays below, so that it is the one that speaks."""


class Settings(BaseSettings):
    """All settings; `read_settings` refuses names that are not listed here."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=DOTENV, extra="ignore", frozen=True)

    models: Path = Field(Path("models"), description="The model repository: `<name>/<version>/` below it.")
    default_model: str | None = Field(None, description="Model that answers when none is named; none: the first name.")

    provider: Literal["auto", "cuda", "cpu"] = Field(
        "auto", description="Execution provider. `auto` falls back to the CPU and says so; `cuda` refuses to start."
    )
    lanes: PositiveInt | None = Field(
        None, description="Batches computed at once. None: a lane a core on the CPU, one on a GPU."
    )
    threads_per_lane: PositiveInt | None = Field(
        None,
        description="Threads of one run. None: 1, which gives the best throughput; a lone picture gets more by itself.",
    )
    max_batch_size: PositiveInt | None = Field(
        None, description="Slices in one run. None: 2 on the CPU, 32 on a GPU. Large delays everyone in the batch."
    )
    max_queue_delay_ms: NonNegativeFloat = Field(
        0.0, description="Longest wait for a batch to fill. 0 batches what gathers behind a running batch, at no cost."
    )
    max_queue_size: PositiveInt = Field(
        128, description="Slices allowed to wait a model. Small refuses early and stays fast; large hides overload."
    )
    deadline_ms: PositiveFloat = Field(
        10_000.0,
        description="Longest time from decoding to answer. Short gives 504 under load; long keeps callers waiting.",
    )

    explain_batch_size: PositiveInt = Field(
        4, description="Maps in one explain run. Small lets predictions in between on a GPU; large is quicker for all."
    )
    explain_max_pictures: PositiveInt = Field(
        16, description="Pictures explained or waiting for it, a model. Small refuses early; large holds more memory."
    )
    explain_threads: PositiveInt = Field(
        1, description="Threads that decode and draw for `/explain`; each more takes a core's time from `/predict`."
    )
    explain_max_pixels: PositiveInt = Field(
        4_000_000, description="Most pixels of an explained picture; each costs 6 bytes of JSON a map."
    )

    max_body_bytes: PositiveInt = Field(
        20_000_000, description="Largest body of one picture. Large lets a caller hold more memory."
    )
    max_batch_body_bytes: PositiveInt = Field(
        200_000_000, description="Largest body of `/predict/batch`, held in memory."
    )
    max_batch_files: PositiveInt = Field(256, description="Most files of one `/predict/batch`.")
    max_bytes_in_flight: PositiveInt = Field(
        400_000_000,
        description="Bytes of bodies held at once, over all requests. Large costs up to twice as much memory.",
    )
    body_idle_seconds: PositiveFloat = Field(
        10.0, description="Longest silence within a body. Short cuts off bad networks; long lets callers hold memory."
    )
    body_seconds: PositiveFloat = Field(
        120.0, description="Longest time for a whole body; it is also how long a trickle may hold memory."
    )
    max_pixels: Annotated[int, Field(gt=0, le=PILLOW_BOMB_LIMIT)] = Field(
        25_000_000, description="Most pixels of one picture, checked before decoding; each costs up to 33 bytes."
    )
    min_side: PositiveInt = Field(32, description="Shortest side in pixels on which an answer may rest.")
    decode_threads: PositiveInt | None = Field(
        None,
        description="Threads that only decode. None: on the CPU a lane decodes its own pictures; a GPU has one a core.",
    )

    keys: Path | None = Field(
        None, description="File of access keys, made by `python -m service keys add`. None: no key is asked for."
    )
    open_to_all: bool = Field(
        False, description="`true` listens beyond loopback without keys, and answers whoever can reach the port."
    )
    metrics: bool = Field(True, description="Whether `/metrics` is there; it asks for no key.")
    docs: bool = Field(True, description="Whether `/docs` and `/openapi.json` are there; they ask for no key.")

    rate_per_minute: PositiveFloat | None = Field(
        None, description="Pictures a minute a client, told by its key or else its address. None: as many as it likes."
    )
    rate_burst: PositiveInt = Field(
        60, description="Pictures that a client may send at once before the rate counts; a larger batch is owed."
    )

    host: str = Field("127.0.0.1", description="Address to listen on; beyond loopback only with keys, or open to all.")
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(8000, description="Port to listen on; 0 takes a free one.")
    drain_seconds: PositiveInt = Field(
        20, description="Time for requests in flight after SIGTERM; keep it below the orchestrator's grace period."
    )
    drain_notice_seconds: NonNegativeFloat = Field(
        0.0,
        description="Time after SIGTERM in which `/readyz` already says no and the port is open; a probe's interval.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`info` writes a line a request; `warning` only what went wrong."
    )

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        """A body that may be sent must have room, and a notice must end before the drain does."""
        if max(self.max_body_bytes, self.max_batch_body_bytes) > self.max_bytes_in_flight:
            raise ValueError("max_bytes_in_flight is smaller than the largest body")
        if self.drain_notice_seconds >= self.drain_seconds:
            raise ValueError("drain_notice_seconds must be less than drain_seconds")
        return self


def read_settings(**overrides: object) -> Settings:
    """Settings from environment and `.env`; raises `ValueError` naming every variable of ours that means nothing."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    ours = {name for name in [*os.environ, *dotenv_values(DOTENV)] if name.upper().startswith(PREFIX)}
    unknown = sorted(name for name in ours if name.upper() not in known)
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(unknown)}")
    return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
