"""The catalogue: what is known of each provider, as data.

Entries are YAML files, one per provider: those shipped in ``providers/entries`` and those of the
folder that ``MOORLINE_PROVIDERS`` names, which may add to them or replace them. Any OAuth 2.0
server can be used by writing one. Secrets never stand in an entry: it names an environment
variable (``${NAME}``) or a file (``file:/path``), read when they are needed and not kept.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import httpx
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.deadlines import Lifetimes
from domain.errors import NotConfigured, NotFound
from domain.outcomes import Outcome
from domain.schedule import KEEP_ALIVE
from domain.secret import Secret

SHIPPED = Path(__file__).parent / "entries"
HOW_TO_ADD = "clients and workers alike read more entries from the folder MOORLINE_PROVIDERS names"
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


class ProviderEntry(_Strict):
    """One provider, as data. ``docs/providers.md`` explains each field with examples."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")]
    name: str
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
    as_of: date | None = None
    """When these facts were last checked with the provider's documentation."""

    @property
    def keep_alive(self) -> timedelta:
        """The longest a grant is left unused."""
        return timedelta(seconds=self.keep_alive_s)

    @property
    def holds_its_secret(self) -> bool:
        """Whether the secret stands in the entry itself: on loopback it may."""
        return self.client_secret is not None and not _REFERENCE.fullmatch(self.client_secret)

    @model_validator(mode="after")
    def _no_secret_in_the_clear(self) -> "ProviderEntry":
        called = (self.token_url, self.revoke_url)
        if self.holds_its_secret and any(
            url and urlsplit(url).hostname not in LOOPBACK for url in called
        ):
            raise ValueError("client_secret must be ${VARIABLE} or file:/path, never the secret")
        return self

    def client_app(self, environment: Mapping[str, str] = os.environ) -> "ClientApp":
        """Our registration at this provider.

        Raises:
            NotConfigured: the variable or file that holds id or secret is missing or empty.
        """
        secret = None
        if self.client_authentication != "none":
            if self.client_secret is None:
                raise NotConfigured(f"provider {self.slug}: client_secret is not set in its entry")
            secret = Secret(self._resolve(self.client_secret, environment))
        return ClientApp(
            client_id=self._resolve(self.client_id, environment),
            secret=secret,
            authentication=self.client_authentication,
        )

    def _resolve(self, value: str, environment: Mapping[str, str]) -> str:
        reference = _REFERENCE.fullmatch(value)
        if reference is None:
            return value
        if variable := reference["variable"]:
            found = environment.get(variable, "")
            missing = f"the environment variable {variable} is not set"
        else:
            path = Path(reference["path"])
            found = _content(path)
            missing = f"the file {path} is missing, empty or not readable"
        if not found:
            raise NotConfigured(f"provider {self.slug}: {missing}")
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


class Catalogue:
    """All entries by slug."""

    def __init__(self, entries: Iterable[ProviderEntry]) -> None:
        self._entries = {entry.slug: entry for entry in entries}

    @classmethod
    def read(cls, folder: Path | None = None) -> "Catalogue":
        """The shipped entries, and those of ``folder`` in their place or beside them.

        Raises:
            NotConfigured: the folder is missing, or a file in it is not an entry.
        """
        if folder is not None and not folder.is_dir():
            raise NotConfigured(f"the folder of provider entries does not exist: {folder}")
        folders = [SHIPPED] if folder is None else [SHIPPED, folder]
        files = [file for place in folders for file in sorted(place.glob("*.yaml"))]
        return cls(_read_entry(file) for file in files)

    def get(self, slug: str) -> ProviderEntry:
        """The entry of this slug.

        Raises:
            NotFound: there is none; the message names those that are spelled like it.
        """
        if slug not in self._entries:
            alike = " or ".join(get_close_matches(slug[:50], self._entries))
            hint = f"is it {alike}?" if alike else HOW_TO_ADD
            raise NotFound(f"unknown provider {slug[:50]!r}; {hint}")
        return self._entries[slug]

    def slugs(self) -> list[str]:
        """Every slug, sorted."""
        return sorted(self._entries)


def _read_entry(file: Path) -> ProviderEntry:
    try:
        entry = ProviderEntry.model_validate(yaml.safe_load(file.read_text()))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'entry'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise NotConfigured(f"provider entry {file}: {problems}") from None
    except (yaml.YAMLError, OSError, ValueError) as error:  # ValueError: a date that is none
        raise NotConfigured(f"provider entry {file}: {type(error).__name__}") from None
    if entry.slug != file.stem:
        raise NotConfigured(f"provider entry {file}: its slug must be its name, {file.stem!r}")
    return entry
