"""The commands as values, and the checks of ``ConnectProvider`` in their order."""

from dataclasses import FrozenInstanceError, fields
from typing import Any
from uuid import uuid4

import pytest

from domain.commands import (
    ConnectProvider,
    ConnectProviderError,
    DisconnectProvider,
    RefreshProviderTokens,
    check_connect,
)
from domain.credentials import CredentialType, ProviderCredentials
from domain.result import Failure, Result, Success

FIELDS: dict[type, list[str]] = {
    ConnectProvider: ["user_id", "provider_id", "provider_slug", "credentials", "alias"],
    DisconnectProvider: ["user_id", "connection_id"],
    RefreshProviderTokens: ["user_id", "connection_id"],
}


def made(kind: type) -> Any:
    values: dict[str, object] = {
        "user_id": uuid4(),
        "provider_id": uuid4(),
        "connection_id": uuid4(),
        "provider_slug": "schwab",
        "credentials": ProviderCredentials(b"mlcanary-sealed", CredentialType.API_KEY),
        "alias": "mine",
    }
    return kind(**{name: values[name] for name in FIELDS[kind]})


@pytest.mark.parametrize("kind", FIELDS)
def test_commands_have_these_fields_and_are_frozen(kind: type) -> None:
    command = made(kind)
    assert [field.name for field in fields(command)] == FIELDS[kind]
    for name in FIELDS[kind]:
        with pytest.raises(FrozenInstanceError):
            setattr(command, name, None)


@pytest.mark.parametrize("kind", FIELDS)
def test_commands_are_made_with_keywords_only(kind: type) -> None:
    with pytest.raises(TypeError):
        kind(*[uuid4() for _ in FIELDS[kind]])


@pytest.mark.parametrize("kind", CredentialType)
def test_every_type_of_credentials_can_be_connected(kind: CredentialType) -> None:
    command = ConnectProvider(
        user_id=uuid4(),
        provider_id=uuid4(),
        provider_slug="schwab",
        credentials=ProviderCredentials(b"sealed", kind),
    )
    assert command.alias is None


def test_a_command_shows_no_sealed_data() -> None:
    assert "mlcanary" not in repr(made(ConnectProvider))


@pytest.mark.parametrize(
    ("has_credentials", "slug", "expected"),
    [
        (True, "schwab", Success(value=None)),
        (True, "s" * 50, Success(value=None)),
        (True, "", Failure(error=ConnectProviderError.INVALID_PROVIDER_SLUG)),
        (True, "s" * 51, Failure(error=ConnectProviderError.INVALID_PROVIDER_SLUG)),
        (False, "schwab", Failure(error=ConnectProviderError.INVALID_CREDENTIALS)),
        (False, "", Failure(error=ConnectProviderError.INVALID_CREDENTIALS)),
        (False, "s" * 51, Failure(error=ConnectProviderError.INVALID_CREDENTIALS)),
    ],
)
def test_missing_credentials_are_refused_before_a_bad_slug(
    has_credentials: bool, slug: str, expected: Result[None, str]
) -> None:
    assert check_connect(has_credentials=has_credentials, provider_slug=slug) == expected


def test_bug_a_slug_no_database_can_hold_was_accepted_and_retried_for_ever() -> None:
    refused = check_connect(has_credentials=True, provider_slug="a\x00b")
    assert refused == Failure(error=ConnectProviderError.INVALID_PROVIDER_SLUG)
