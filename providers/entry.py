"""One provider as data: how it is spoken to, by type, and what is known of it.

Here is what all have, and the OAuth 2.0 ones; ``providers.entries_given`` has the others. Secrets
never stand in an entry: it names an environment variable (``${NAME}``) or a file (``file:/path``),
read when they are needed and not kept.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from domain.credentials import CredentialType
from domain.deadlines import Lifetimes
from domain.errors import NotConfigured
from domain.outcomes import Outcome
from domain.schedule import KEEP_ALIVE
from domain.secret import Secret

_REFERENCE = re.compile(r"\$\{(?P<variable>\w+)\}|file:(?P<path>.+)")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    if not _is_callable(url) or not parts.hostname or "@" in parts.netloc or "#" in url:
        raise ValueError("must be an absolute URL without user name and fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("must be https (http is for loopback only)")
    return url


def _is_callable(url: str) -> bool:
    """Whether a request could be made of it: found out here, not when a token is at stake."""
    try:
        port, host = urlsplit(url).port, httpx.URL(url).host
    except (ValueError, httpx.InvalidURL):
        return False
    return port != 0 and bool(host)


_SAYABLE = (
    Outcome.TRANSIENT,
    Outcome.RATE_LIMITED,
    Outcome.GRANT_DEAD,
    Outcome.ACCESS_REVOKED,
    Outcome.APP_MISCONFIGURED,
)
"""What a provider can say by refusing; the other outcomes are ours to find."""


def _sayable(outcome: Outcome) -> Outcome:
    if outcome not in _SAYABLE:
        raise ValueError(f"a refusal is one of {', '.join(_SAYABLE)}")
    return outcome


Endpoint = Annotated[str, AfterValidator(_endpoint)]
Seconds = Annotated[int, Field(ge=1, le=3_155_760_000)]
"""At most a hundred years: a longer time fits into no calendar, and a token would pay for it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Refusal(_Strict):
    """How this provider words an outcome in its own way: all given fields must be equal."""

    fields: Mapping[str, str | bool] = Field(min_length=1)
    outcome: Annotated[Outcome, AfterValidator(_sayable)]


class StatedLifetimes(_Strict):
    """Lifetimes in seconds that the provider documents; an answer that states one wins."""

    access_token_s: Seconds | None = None
    refresh_token_s: Seconds | None = None
    grant_s: Seconds | None = None
    consent_s: Seconds | None = None

    def as_lifetimes(self) -> Lifetimes:
        """The same as durations."""
        seconds = (self.access_token_s, self.refresh_token_s, self.grant_s, self.consent_s)
        return Lifetimes(*(None if s is None else timedelta(seconds=s) for s in seconds))


class DataSource(_Strict):
    """Where a provider's data is read, and by which reader of ``providers.readers``."""

    reader: Literal["sandbox", "csv"]
    url: Endpoint | None = None
    """None: what is read is what the user gave."""
    every_s: Annotated[int, Field(ge=60, le=31_557_600)] = 6 * 3600
    """How often it is read."""

    @model_validator(mode="after")
    def _has_a_place(self) -> "DataSource":
        if (self.url is None) != (self.reader == "csv"):
            raise ValueError("url goes with every reader but csv, which reads the file itself")
        return self

    @property
    def every(self) -> timedelta:
        """How often it is read."""
        return timedelta(seconds=self.every_s)


class ProviderEntry(_Strict):
    """What is known of every provider. ``docs/providers.md`` explains each field with examples."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")]
    name: str
    data: DataSource | None = None
    as_of: date | None = None
    """When these facts were last checked with the provider's documentation."""

    @property
    def credential_type(self) -> CredentialType:
        """What its users give us."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _has_what_is_read(self) -> "ProviderEntry":
        is_file = self.credential_type is CredentialType.FILE_IMPORT
        if self.data is not None and (self.data.reader == "csv") != is_file:
            raise ValueError("data.reader is csv where users bring files, and nowhere else")
        return self

    def check_ready(self, environment: Mapping[str, str] = os.environ) -> None:
        """Whether all that we must bring ourselves is at hand.

        Raises:
            NotConfigured: something is missing; says what.
        """


class OAuth2Entry(ProviderEntry):
    """A provider that speaks OAuth 2.0 with authorization codes."""

    type: Literal["oauth2"]
    authorize_url: Endpoint
    token_url: Endpoint
    revoke_url: Endpoint | None = None
    issuer: str | None = None
    sends_iss: bool = False
    """The provider says that it names itself in every redirect (RFC 9207): absence is an error."""
    client_id: str
    client_secret: str | None = None
    client_authentication: Literal["client_secret_basic", "client_secret_post", "none"] = (
        "client_secret_basic"
    )
    scopes: tuple[str, ...] = ()
    scope_separator: str = " "
    authorize_params: Mapping[str, str] = {}
    lifetimes: StatedLifetimes = StatedLifetimes()
    rotation: Literal["never", "sometimes", "always"] = "sometimes"
    grace_s: Annotated[int, Field(ge=0)] | None = None
    """How long a rotated-out refresh token is still honoured; None = not known."""
    keep_alive_s: Seconds = int(KEEP_ALIVE.total_seconds())
    refusals: tuple[Refusal, ...] = ()

    @property
    def credential_type(self) -> CredentialType:
        return CredentialType.OAUTH2

    def check_ready(self, environment: Mapping[str, str] = os.environ) -> None:
        self.client_app(environment)

    @property
    def keep_alive(self) -> timedelta:
        """The longest a grant is left unused."""
        return timedelta(seconds=self.keep_alive_s)

    @property
    def holds_its_secret(self) -> bool:
        """Whether the secret stands in the entry itself: on loopback it may."""
        return self.client_secret is not None and not _REFERENCE.fullmatch(self.client_secret)

    @model_validator(mode="after")
    def _no_secret_in_the_clear(self) -> "OAuth2Entry":
        called = (self.token_url, self.revoke_url)
        if self.holds_its_secret and any(
            url and urlsplit(url).hostname not in LOOPBACK for url in called
        ):
            raise ValueError("client_secret must be ${VARIABLE} or file:/path, never the secret")
        return self

    def client_app(self, environment: Mapping[str, str] = os.environ) -> "ClientApp":
        """Our registration at this provider.

        Raises:
            NotConfigured: the variable or file that holds id or secret is missing or empty; names
                both if both are.
        """
        missing: list[str] = []
        client_id = self._resolve(self.client_id, environment, missing)
        secret = None
        if self.client_authentication != "none":
            if self.client_secret is None:
                missing.append("client_secret is not set in its entry")
            secret = Secret(self._resolve(self.client_secret or "", environment, missing))
        if missing:
            raise NotConfigured(f"provider {self.slug}: {' and '.join(missing)}")
        return ClientApp(client_id, secret, self.client_authentication)

    def _resolve(self, value: str, environment: Mapping[str, str], missing: list[str]) -> str:
        """What a value of the entry refers to; nothing, and noted, if that is not there."""
        reference = _REFERENCE.fullmatch(value)
        if reference is None:
            return value
        if variable := reference["variable"]:
            found = environment.get(variable, "")
            lack = f"the environment variable {variable} is not set"
        else:
            path = Path(reference["path"])
            found = _content(path)
            lack = f"the file {path} is missing, empty or not readable"
        if not found:
            missing.append(lack)
        return found


def _content(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):  # ValueError: not text
        return ""


@dataclass(frozen=True)
class ClientApp:
    """Our registration at a provider: client id, secret and how they are presented."""

    client_id: str
    secret: Secret | None
    authentication: str
