"""Credentials that an application has already, as they come in over HTTP.

What was sent is not shown anywhere: not in a problem, not in a log, not in the answer.
"""

from collections.abc import Mapping
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
)

from client.connections import ConnectionsClient
from domain.commands import ConnectProvider
from domain.connection import is_valid_slug, provider_id_of
from domain.credentials import CredentialType
from domain.errors import (
    ANOTHERS_ID,
    WAITS_FOR_USER,
    Conflict,
    InvalidInput,
    NotFound,
    ProviderConnectionError,
)
from domain.files import LONGEST_FILE, named
from domain.outcomes import Outcome
from domain.result import Failure
from domain.secret import Secret
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from workflows.messages import Alias


def _checked_slug(slug: str) -> str:
    if not is_valid_slug(slug):
        raise ValueError(ProviderConnectionError.INVALID_PROVIDER_SLUG)
    return slug


Slug = Annotated[str, AfterValidator(_checked_slug)]
Hidden = Annotated[SecretStr, Field(min_length=1, max_length=16_384)]
Pem = Annotated[SecretStr, Field(min_length=1, max_length=65_536)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


_REPLACED_ALWAYS = frozenset({CredentialType.CERTIFICATE, CredentialType.FILE_IMPORT})
"""Others take their place long before they are of no use any more."""


class _Brought(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class OAuth2Tokens(_Brought):
    """Of a grant that was made elsewhere. Without a refresh token it cannot be kept fresh."""

    type: Literal["oauth2"]
    access_token: Hidden
    refresh_token: Hidden | None = None
    expires_at: AwareDatetime | None = None
    """End of the access token; null if unknown: it is refreshed at once."""

    def secret(self) -> Mapping[str, Secret]:
        """What is to be sealed."""
        tokens = {"access_token": self.access_token, "refresh_token": self.refresh_token}
        return {
            name: Secret(token.get_secret_value())
            for name, token in tokens.items()
            if token is not None
        }


class _Given(_Brought):
    """What a user gives as it is. It is verified first."""

    expires_at: None = None

    def secret(self) -> Mapping[str, Secret]:
        """What is to be sealed."""
        parts = self.model_dump(exclude={"type", "expires_at"}, exclude_none=True)
        return {
            name: Secret(part.get_secret_value() if isinstance(part, SecretStr) else part)
            for name, part in parts.items()
        }


class ApiKeyBrought(_Given):
    """A key that the user made at the provider."""

    type: Literal["api_key"]
    api_key: Hidden


class LinkTokenBrought(_Given):
    """A token that the provider showed the user who had linked an account there."""

    type: Literal["link_token"]
    access_token: Hidden
    item_id: Text | None = None
    institution_id: Text | None = None


class CertificateBrought(_Given):
    """A certificate that the provider knows the user by, and its key without a passphrase: PEM."""

    type: Literal["certificate"]
    client_certificate: Pem
    private_key: Pem
    certificate_chain: Pem | None = None


class FileBrought(_Given):
    """A file that the user exported at the provider. ``file_content`` is its text."""

    type: Literal["file_import"]
    file_content: Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_FILE)]
    file_format: Literal["csv"] = "csv"
    file_name: Annotated[str, Field(max_length=500), AfterValidator(named)] = "file"


class Brought(_Brought):
    """Whose credentials these are, and they themselves."""

    user_id: UUID
    provider: Slug
    alias: Alias = None
    credentials: Annotated[
        OAuth2Tokens | ApiKeyBrought | LinkTokenBrought | CertificateBrought | FileBrought,
        Discriminator("type"),
    ]

    @property
    def credential_type(self) -> CredentialType:
        """As it is stored."""
        return CredentialType(self.credentials.type)


async def bring(
    connections: ConnectionsClient, connection_id: UUID, brought: Brought
) -> tuple[ConnectionView, bool]:
    """Have a connection born with these credentials; whether it was this time.

    Where it is there already, nothing changes, but for what a user gives in the place of what is no
    good, and for another file.

    Raises:
        InvalidInput: no such provider, or it is spoken to in another way.
        Conflict: refused, and why; or something else has this id.
        Unreachable: nothing was accepted, or it was and is only delayed; says which.
    """
    try:
        view = await connections.view(connection_id)
    except NotFound:
        return await _born(connections, connection_id, brought), True
    _expect_same(view, brought)
    if brought.credential_type.is_given and _is_replaced(view):
        return await connections.supply(connection_id, brought.credentials.secret()), False
    return view, False


async def _born(
    connections: ConnectionsClient, connection_id: UUID, brought: Brought
) -> ConnectionView:
    if not connections.knows(brought.provider):
        raise InvalidInput("the catalogue has no such provider")
    credentials = brought.credentials
    command = ConnectProvider(
        user_id=brought.user_id,
        provider_id=provider_id_of(brought.provider),
        provider_slug=brought.provider,
        alias=brought.alias,
        credentials=await connections.seal(
            connection_id,
            credentials.secret(),
            brought.credential_type,
            credentials.expires_at,
        ),
    )
    result = await connections.connect_provider(command, connection_id)
    if isinstance(result, Failure):
        raise Conflict(result.error)
    return await connections.view(connection_id)


def _expect_same(view: ConnectionView, brought: Brought) -> None:
    """Whoever repeats a command means the same connection."""
    if (view.user_id, view.provider_slug) != (brought.user_id, brought.provider):
        raise Conflict(ANOTHERS_ID)
    if view.ending or view.status is ConnectionStatus.DISCONNECTED:
        raise Conflict(ProviderConnectionError.CONNECTION_DISCONNECTED)
    if view.credential_type is not brought.credential_type:
        raise Conflict(f"the connection is by {view.credential_type}")
    if view.status is ConnectionStatus.PENDING:
        raise Conflict(WAITS_FOR_USER)


def _is_replaced(view: ConnectionView) -> bool:
    if view.credential_type in _REPLACED_ALWAYS:
        return True
    refused = view.trouble is not None and view.trouble.cause is Outcome.KEY_REFUSED
    return refused or view.status is not ConnectionStatus.ACTIVE
