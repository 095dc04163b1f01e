"""Providers that ask no user on a page of theirs: what they work by is given to us, on a form.

``GIVEN_TYPES`` holds a type for each kind of credentials that a user can give. An entry says where
and how often it is verified; a file is verified by reading it.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from domain.credentials import CredentialType
from domain.errors import NotConfigured
from providers.entry import DataSource, Endpoint, ProviderEntry, Seconds

YEAR_S = 31_536_000
_CA = r"^file:/.+"


class GivenEntry(ProviderEntry):
    """A provider whose users give us what it works by."""

    @property
    def verify_every(self) -> timedelta | None:
        """How often what was given is verified; None: it cannot become worse."""
        return None


class VerifiedEntry(GivenEntry):
    """A provider that can be asked whether what a user gave is still good."""

    verify_url: Endpoint
    """Read with what was given; costs nothing and changes nothing."""
    verify_every_s: Seconds = 86_400
    refused_again_after_s: Seconds = 900
    refusals_until_expired: Annotated[int, Field(ge=1, le=100)] = 3
    """So many definite refusals in a row end the grant: one may be the provider's own mistake."""

    @property
    def verify_every(self) -> timedelta:
        """How often it is verified."""
        return timedelta(seconds=self.verify_every_s)

    @property
    def refused_again_after(self) -> timedelta:
        """How soon what was refused is tried again."""
        return timedelta(seconds=self.refused_again_after_s)


class HeaderEntry(VerifiedEntry):
    """A provider that is spoken to with a secret in a header."""

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,50}$")] = "Authorization"
    prefix: str = "Bearer "
    """What stands in the header before the secret."""


class ApiKeyEntry(HeaderEntry):
    """A provider that is spoken to with a key its users make there."""

    type: Literal["api_key"]

    @property
    def credential_type(self) -> CredentialType:
        return CredentialType.API_KEY


class LinkTokenEntry(HeaderEntry):
    """A provider that shows its users a token once they have linked an account there."""

    type: Literal["link_token"]

    @property
    def credential_type(self) -> CredentialType:
        return CredentialType.LINK_TOKEN


def _secure(url: str) -> str:
    if not url.startswith("https://"):
        raise ValueError("must be https: a certificate is shown to nobody else")
    return url


class CertificateEntry(VerifiedEntry):
    """A provider that knows its users by their client certificates (mutual TLS)."""

    type: Literal["certificate"]
    verify_url: Annotated[Endpoint, AfterValidator(_secure)]
    ca: Annotated[str, Field(pattern=_CA)] | None = None
    """The authority that the provider's own certificate is of, where it is a private one."""

    @property
    def ca_file(self) -> Path | None:
        """The same as a path."""
        return None if self.ca is None else Path(self.ca.removeprefix("file:"))

    @property
    def credential_type(self) -> CredentialType:
        return CredentialType.CERTIFICATE

    def check_ready(self, environment: Mapping[str, str] = os.environ) -> None:  # noqa: ARG002
        if self.ca_file is not None and not self.ca_file.is_file():
            raise NotConfigured(f"provider {self.slug}: the file {self.ca_file} is missing")

    @model_validator(mode="after")
    def _reads_by_tls(self) -> "CertificateEntry":
        if self.data is not None and not (self.data.url or "").startswith("https://"):
            raise ValueError("data.url must be https: a certificate is shown to nobody else")
        return self


class FileEntry(GivenEntry):
    """A bank, say, whose users bring a file that they have exported there. Nothing is sent."""

    type: Literal["file"]
    formats: Annotated[tuple[Literal["csv"], ...], Field(min_length=1)] = ("csv",)
    data: DataSource | None = DataSource(reader="csv", every_s=YEAR_S)

    @property
    def credential_type(self) -> CredentialType:
        return CredentialType.FILE_IMPORT


GIVEN_TYPES: dict[str, type[GivenEntry]] = {
    "api_key": ApiKeyEntry,
    "link_token": LinkTokenEntry,
    "certificate": CertificateEntry,
    "file": FileEntry,
}
"""By what an entry says in ``type``."""
