"""Settings: ``MOORLINE_*`` from the environment, from ``.env``, or from a running ``moorline dev``.

Temporal is found by ``temporalio.envconfig`` (``TEMPORAL_*``, profiles). What the environment says
goes before ``.env``, and that before what ``moorline dev`` has written into its state folder.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import urlsplit

from dotenv import load_dotenv
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from domain.errors import NotConfigured
from storage.keyring import Keyring
from workflows.names import TASK_QUEUE

STATE = Path(".moorline")
DEV_ENVIRONMENT = "env"
FASTEST: Final = 100
"""Calls per second to one provider; beyond, a limit protects nobody."""

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
"""A name as browsers send it, or an IPv4 address: no pattern, and nothing they read otherwise."""

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def _database_url(value: SecretStr) -> SecretStr:
    try:
        driver = make_url(value.get_secret_value()).drivername
    except ArgumentError:
        raise ValueError("is not a database URL") from None
    if driver != "postgresql+asyncpg":
        raise ValueError("must begin with postgresql+asyncpg://")
    return value


def _public_url(value: str) -> str:
    return _origin(_browsers_address(value))


def _origin(value: str) -> str:
    """As browsers write it: what they send as Origin is compared with it."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.hostname or ""):
        raise ValueError("must be http(s)://HOST, with the name that browsers send")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be a scheme and a host only")
    usual = parts.port in {None, 443 if parts.scheme == "https" else 80}
    port = "" if usual else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}"


def _return_urls(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_browsers_address(value) for value in values)


def _browsers_address(value: str) -> str:
    parts = urlsplit(value)
    local = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}
    if not _HOST.fullmatch(parts.hostname or "") or not (parts.scheme == "https" or local):
        raise ValueError("must be https://HOST, or http://127.0.0.1:PORT")
    if parts.fragment or "@" in parts.netloc or parts.port == 0:
        raise ValueError("must be without a fragment, a user or port 0")
    return value


def _listed(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


class OidcSettings(BaseModel):
    """The identity provider whose tokens let operators in: see ``gateway.operators``."""

    issuer: str
    audience: str
    jwks_url: Annotated[str, AfterValidator(_browsers_address)]
    operator: Annotated[str, Field(pattern=r"^[^=]+=.+$")]
    """``claim=value``."""


class TemporalSettings(BaseSettings):
    """What a part needs that never opens the database: ``moorline setup``."""

    model_config = SettingsConfigDict(
        env_prefix="MOORLINE_",
        env_ignore_empty=True,
        env_nested_delimiter="_",  # MOORLINE_OIDC_ISSUER and the like
        env_nested_max_split=1,
        extra="ignore",
        hide_input_in_errors=True,
    )

    payload_keys: SecretStr = SecretStr("")
    require_encrypted_payloads: bool = False
    providers: Path | None = None
    task_queue: str = TASK_QUEUE
    build_id: str | None = None
    calls_per_second: float | None = Field(default=None, gt=0, le=FASTEST)
    gateway_port: int = Field(default=8300, ge=1, le=65535)
    ui_origin: Annotated[str, AfterValidator(_origin)] = "http://127.0.0.1:8233"
    log_level: Annotated[LogLevel, BeforeValidator(str.upper)] = "INFO"
    log_format: Literal["console", "json"] = "console"

    def payload_keyring(self) -> Keyring:
        """The keys of Temporal payloads."""
        return Keyring.parse(self.payload_keys.get_secret_value(), "MOORLINE_PAYLOAD_KEYS")


class Settings(TemporalSettings):
    """Everything that can be set. ``docs/settings.md`` explains each."""

    database_url: Annotated[SecretStr, AfterValidator(_database_url)]
    keys: SecretStr = SecretStr("")
    redirect_uri: str = "http://127.0.0.1:8400/callback"
    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    return_urls: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_return_urls)
    ] = ()
    application: str = "An application"
    codec_token: SecretStr | None = None
    oidc: OidcSettings | None = None
    graceful_shutdown_s: float = Field(default=30, ge=25)

    def keyring(self) -> Keyring:
        """The keys that wrap data keys."""
        return Keyring.parse(self.keys.get_secret_value(), "MOORLINE_KEYS")


SettingsT = TypeVar("SettingsT", bound=TemporalSettings)


def load(state: Path = STATE) -> Settings:
    """All settings as they are now.

    Raises:
        NotConfigured: one is missing or wrong; names it, never its value.
    """
    return load_as(Settings, state)


def load_as(kind: type[SettingsT], state: Path = STATE) -> SettingsT:
    """The settings of this kind as they are now.

    Raises:
        NotConfigured: one is missing or wrong; names it, never its value.
    """
    read_files(state)
    return _made(kind)


def given() -> TemporalSettings:
    """What environment and ``.env`` say, whatever runs here; the environment stays as it is.

    Raises:
        NotConfigured: one is wrong; names it, never its value.
    """
    return _made(TemporalSettings, Path(".env"))


def _made(kind: type[SettingsT], file: Path | None = None) -> SettingsT:
    try:
        return kind(_env_file=file)
    except ValidationError as error:
        problems = "; ".join(
            f"MOORLINE_{'_'.join(str(part) for part in problem['loc']).upper()}: "
            + problem["msg"].removeprefix("Value error, ")
            for problem in error.errors()
        )
        away = issubclass(kind, Settings) and "MOORLINE_DATABASE_URL" not in os.environ
        hint = " (is `moorline dev` running?)" if away else ""
        raise NotConfigured(problems + hint) from None


def read_files(state: Path = STATE) -> None:
    """Take into the environment what the files say and it does not say already.

    Raises:
        NotConfigured: a file is there and cannot be read.
    """
    for file in (Path(".env"), state / DEV_ENVIRONMENT):
        try:
            load_dotenv(file)
        except (OSError, UnicodeDecodeError) as error:
            raise NotConfigured(f"{file} cannot be read ({type(error).__name__})") from None
