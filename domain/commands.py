"""What an application may ask of a connection, as values.

They are carried out by workflows and activities; here is only their shape and their checks.
"""

from dataclasses import dataclass
from uuid import UUID

from domain.connection import is_valid_alias, is_valid_slug
from domain.credentials import ProviderCredentials
from domain.errors import ProviderConnectionError
from domain.result import Failure, Result, Success


class ConnectProviderError:
    """Why a ``ConnectProvider`` command was refused."""

    INVALID_CREDENTIALS = "Credentials are required and must be valid"
    INVALID_PROVIDER_SLUG = "The provider slug must have 1 to 50 characters"
    DATABASE_ERROR = "The connection could not be stored"


@dataclass(frozen=True, kw_only=True)
class ConnectProvider:
    """Store a connection whose credentials were already obtained.

    All credential types are accepted. Answers ``Result[UUID, str]``: the connection's id.
    """

    user_id: UUID
    provider_id: UUID
    provider_slug: str
    credentials: ProviderCredentials | None
    alias: str | None = None


@dataclass(frozen=True, kw_only=True)
class DisconnectProvider:
    """End a connection for good."""

    user_id: UUID
    connection_id: UUID


@dataclass(frozen=True, kw_only=True)
class RefreshProviderTokens:
    """Renew a connection's access token now."""

    user_id: UUID
    connection_id: UUID


def check_connect(
    *, has_credentials: bool, provider_slug: str, alias: str | None = None
) -> Result[None, str]:
    """The checks of ``ConnectProvider``, in their order, before anything is stored."""
    if not has_credentials:
        return Failure(error=ConnectProviderError.INVALID_CREDENTIALS)
    if not is_valid_slug(provider_slug):
        return Failure(error=ConnectProviderError.INVALID_PROVIDER_SLUG)
    if not is_valid_alias(alias):
        return Failure(error=ProviderConnectionError.INVALID_ALIAS)
    return Success(value=None)
