"""Every knob, typed, with what each extreme costs; set by `NEUROTRIAGE_…` variables or a `.env` file."""

import os
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.addresses import is_private_way
from service.problem import in_one_line

PREFIX = "NEUROTRIAGE_"
DOTENV = ".env"
PILLOW_BOMB_LIMIT = 89_478_485
"""Pixels from which Pillow itself warns; our own cap stays below, so that it is the one that speaks."""


class Settings(BaseSettings):
    """All settings; `read_settings` refuses names that are not listed here."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=DOTENV, extra="ignore", frozen=True)

    models: Path = Field(Path("models"), description="The model repository: `<name>/<version>/` below it.")
    default_model: str | None = Field(
        None, description="Model that answers when none is named; none: the first name, fp32 before others."
    )

    provider: Literal["auto", "cuda", "cpu"] = Field(
        "auto", description="Execution provider. `auto` falls back to the CPU and says so; `cuda` refuses to start."
    )
    lanes: PositiveInt | None = Field(
        None, description="Batches computed at once. None: one more than cores on the CPU, one on a GPU."
    )
    threads_per_lane: PositiveInt | None = Field(
        None,
        description="Threads of one run. None: 1, which gives the best throughput; a lone picture gets more by itself.",
    )
    lanes_nice: int = Field(
        0,
        ge=0,
        le=19,
        description="How much nicer than the process the lanes' threads are, on Linux. 10 halves "
        "the wait for refusals and `/livez` under load, and "
        "yields to whatever else runs in the same container.",
    )
    max_batch_size: PositiveInt | None = Field(
        None, description="Slices in one run. None: 2 on the CPU, 32 on a GPU. Large delays everyone in the batch."
    )
    cudnn_search: Literal["heuristic", "exhaustive"] = Field(
        "heuristic", description="How CUDA's convolutions are chosen. `exhaustive` starts slower and may run faster."
    )
    cuda_graphs: bool = Field(
        False, description="Whether each batch size is one CUDA graph: less work a run; refuses what CUDA cannot hold."
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
    routine_ageing_ms: NonNegativeFloat = Field(
        5000.0,
        description="Wait after which `routine` goes before later `stat`. 0: in order of arrival; long: routine waits.",
    )
    stuck_seconds: PositiveFloat = Field(
        30.0,
        description="Time after which a run counts as hung. Short takes slow runs for hung; long loses a lane longer.",
    )
    max_stuck_runs: PositiveInt = Field(
        3, description="Hung runs a model that are replaced; a hung run keeps its core and its memory for good."
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
    body_least_bytes_per_second: PositiveInt = Field(
        1000, description="Slowest rate of a body after its first silence; large cuts off bad networks."
    )
    max_bytes_per_client: PositiveInt | None = Field(
        None, description="Bytes of bodies that one client may hold at once. None: half the room, or one largest body."
    )
    header_seconds: PositiveFloat = Field(
        10.0, description="Longest time for a request's headers; a connection that sends none is closed then."
    )
    keep_alive_seconds: PositiveInt = Field(
        75, description="Longest rest between two requests of a connection; more than a proxy keeps it, or some fail."
    )
    max_pixels: Annotated[int, Field(gt=0, le=PILLOW_BOMB_LIMIT)] = Field(
        25_000_000, description="Most pixels of one picture, checked before decoding; each costs up to 33 bytes."
    )
    min_side: PositiveInt = Field(32, description="Shortest side in pixels on which an answer may rest.")
    decode_threads: PositiveInt | None = Field(
        None,
        description="Threads that only decode. None: a lane on the CPU decodes its own pictures, a GPU has one a core.",
    )

    keys: Path | None = Field(
        None, description="File of access keys, made by `python -m service keys add`. None: no key is asked for."
    )
    oidc_issuer: str | None = Field(
        None, description="Issuer (`iss`) whose tokens (JWT) are taken as keys are. None: none are."
    )
    oidc_audience: str | None = Field(None, description="Audience (`aud`) that a token must name: this service.")
    oidc_jwks_url: str | None = Field(
        None, description="Where the issuer's public keys are. None: where its discovery document says."
    )
    oidc_algorithms: str = Field(
        "RS256",
        pattern=r"^((RS|PS|ES)(256|384|512)|EdDSA)(,((RS|PS|ES)(256|384|512)|EdDSA))*$",
        description="Signatures that count, separated by commas; asymmetric ones only.",
    )
    oidc_scope_claim: str = Field(
        "scope", description="Claim that holds the scopes, as words or a list; a path such as `realm_access.roles` too."
    )
    oidc_scope_prefix: str | None = Field(
        None, description="What stands before each of our scopes in that claim, such as `neurotriage:`."
    )
    oidc_name_claim: str = Field(
        "sub", description="Claim that names the caller in log and audit, and whose rate it is; no person's name."
    )
    oidc_clock_skew_seconds: NonNegativeFloat = Field(
        30.0, description="How far the issuer's clock may be off. Large lets expired tokens live as much longer."
    )
    oidc_keys_fresh_seconds: PositiveFloat = Field(
        300.0, description="Age from which the issuer's keys are fetched again; a key it withdraws lives that long."
    )
    oidc_keys_stale_seconds: PositiveFloat = Field(
        3600.0, description="Longest time that its keys count while the issuer cannot be reached; then 503."
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
    tls_cert: Path | None = Field(
        None, description="Certificate chain (PEM) to serve HTTPS with. None: HTTP, for a proxy before it."
    )
    tls_key: Path | None = Field(None, description="The certificate's private key (PEM, without a passphrase).")

    audit: Path | None = Field(
        None,
        description="File that takes a line for each answer given (who, model, picture's hash), with workers one each "
        "(`audit-0.jsonl`); `-`: the log.",
    )
    audit_max_bytes: PositiveInt = Field(
        100_000_000, description="Size at which the audit file is put aside as `.1`, the older ones as `.2` and on."
    )
    audit_backups: PositiveInt = Field(10, description="Audit files kept beside the current one; the oldest goes.")
    otlp_endpoint: str | None = Field(
        None, description="Where traces go (OTLP over HTTP, such as `http://collector:4318/v1/traces`). None: none."
    )

    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="Processes that decode and speak HTTP. 1 does all in one; more feed one that infers (Linux)."
    )
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
        """A body that may be sent must have room, a notice must end before the drain does, and pairs come together."""
        largest = max(self.max_body_bytes, self.max_batch_body_bytes)
        if largest > self.max_bytes_in_flight:
            raise ValueError("max_bytes_in_flight is smaller than the largest body")
        if self.drain_notice_seconds >= self.drain_seconds:
            raise ValueError("drain_notice_seconds must be less than drain_seconds")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together")
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("oidc_issuer and oidc_audience belong together")
        if self.oidc_issuer is not None and not is_private_way(self.oidc_jwks_url or self.oidc_issuer):
            raise ValueError("oidc_jwks_url, or oidc_issuer without it, must be asked by https, or on this machine")
        if self.oidc_keys_stale_seconds < self.oidc_keys_fresh_seconds:
            raise ValueError("oidc_keys_stale_seconds is less than oidc_keys_fresh_seconds")
        if self.max_bytes_per_client and self.max_bytes_per_client < largest:
            raise ValueError("max_bytes_per_client is smaller than the largest body")
        return self

    @property
    def bytes_per_client(self) -> int:
        """Bytes of bodies that one client may hold at once."""
        half = self.max_bytes_in_flight // 2
        return self.max_bytes_per_client or max(half, self.max_body_bytes, self.max_batch_body_bytes)


def read_settings(**overrides: object) -> Settings:
    """Settings from environment and `.env`; raises `ValueError` naming every variable of ours that means nothing."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    ours = {name for name in [*os.environ, *dotenv_values(DOTENV)] if name.upper().startswith(PREFIX)}
    unknown = sorted(name for name in ours if name.upper() not in known)
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(unknown)}")
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        raise ValueError(in_one_line(error)) from None
