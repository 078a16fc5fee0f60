"""The limits of asynchronous requests. Each names its unit; each comes from the environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AsyncSettings(BaseSettings):
    """Limits of requests with `Prefer: respond-async`."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    async_unfinished_per_subject_max: int = Field(
        50, description="unfinished asynchronous requests that one subject may have in one service"
    )
    async_kept_per_subject_max: int = Field(
        10_000,
        ge=1,
        description="kept answers to asynchronous requests of one subject in one service; then 429",
    )
    async_kept_bytes_per_subject_max: int = Field(
        256 * 1024 * 1024,
        ge=1,
        description="kept answers to asynchronous requests of one subject in one service together, bytes; then 429",
    )
    async_answer_kept_h: float = Field(
        24.0, description="the answer to an asynchronous request is kept after it is finished, hours"
    )
    async_polls_per_s: float = Field(
        1.0, description="polls a second of one asynchronous request, after the burst"
    )
    async_polls_burst: int = Field(10, description="polls of one asynchronous request at once")
    async_parallel: int = Field(2, description="asynchronous requests that one worker carries out at once")
    async_timeout_s: float = Field(
        300.0, description="longest that an asynchronous request may take, seconds"
    )
    async_attempts_max: int = Field(
        3, description="attempts after which an asynchronous request that ends its process is given up"
    )
