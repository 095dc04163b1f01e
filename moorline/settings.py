"""Settings: ``MOORLINE_*`` from the environment, from ``.env``, or from a running ``moorline dev``.

Temporal is found by ``temporalio.envconfig`` (``TEMPORAL_*``, profiles). What the environment says
goes before ``.env``, and that before what ``moorline dev`` has written into its state folder.
"""

import os
from pathlib import Path
from typing import Annotated

from dotenv import load_dotenv
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from domain.errors import NotConfigured
from storage.keyring import Keyring
from workflows.names import TASK_QUEUE

STATE = Path(".moorline")
DEV_ENVIRONMENT = "env"


def _database_url(value: SecretStr) -> SecretStr:
    try:
        driver = make_url(value.get_secret_value()).drivername
    except ArgumentError:
        raise ValueError("is not a database URL") from None
    if driver != "postgresql+asyncpg":
        raise ValueError("must begin with postgresql+asyncpg://")
    return value


class Settings(BaseSettings):
    """Everything that can be set. ``docs/settings.md`` explains each."""

    model_config = SettingsConfigDict(env_prefix="MOORLINE_", hide_input_in_errors=True)

    database_url: Annotated[SecretStr, AfterValidator(_database_url)]
    keys: SecretStr = SecretStr("")
    payload_keys: SecretStr = SecretStr("")
    providers: Path | None = None
    redirect_uri: str = "http://127.0.0.1:8400/callback"
    task_queue: str = TASK_QUEUE
    build_id: str | None = None
    require_encrypted_payloads: bool = False
    graceful_shutdown_s: float = Field(default=30, ge=25)
    gateway_port: int = 8300
    ui_origin: str = "http://127.0.0.1:8233"
    log_level: str = "INFO"

    def keyring(self) -> Keyring:
        """The keys that wrap data keys."""
        return Keyring.parse(self.keys.get_secret_value(), "MOORLINE_KEYS")

    def payload_keyring(self) -> Keyring:
        """The keys of Temporal payloads."""
        return Keyring.parse(self.payload_keys.get_secret_value(), "MOORLINE_PAYLOAD_KEYS")


def load(state: Path = STATE) -> Settings:
    """The settings as they are now.

    Raises:
        NotConfigured: one is missing or wrong; names it, never its value.
    """
    load_dotenv(".env")
    load_dotenv(state / DEV_ENVIRONMENT)
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"MOORLINE_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors()
        )
        hint = "" if "MOORLINE_DATABASE_URL" in os.environ else " (is `moorline dev` running?)"
        raise NotConfigured(problems + hint) from None
