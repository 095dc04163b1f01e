"""A connection as it is made, and the questions it answers."""

from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.connection import (
    ProviderConnection,
    is_valid_alias,
    is_valid_slug,
    provider_id_of,
)
from domain.credentials import CredentialType, ProviderCredentials
from domain.status import ConnectionStatus

S = ConnectionStatus


def credentials(lives_for: timedelta | None = timedelta(hours=1)) -> ProviderCredentials:
    end = None if lives_for is None else datetime.now(UTC) + lives_for
    return ProviderCredentials(b"mlcanary-sealed", CredentialType.OAUTH2, end)


def connection(status: ConnectionStatus = S.PENDING, **changes: Any) -> ProviderConnection:
    usual: dict[str, Any] = {
        "id": uuid4(),
        "user_id": uuid4(),
        "provider_id": uuid4(),
        "provider_slug": "schwab",
        "status": status,
        "credentials": credentials() if status is S.ACTIVE else None,
    }
    return ProviderConnection(**{**usual, **changes})


def test_the_fields_stand_in_the_contracts_order() -> None:
    names = [field.name for field in fields(ProviderConnection)]
    assert names[:11] == [
        "id",
        "user_id",
        "provider_id",
        "provider_slug",
        "status",
        "alias",
        "credentials",
        "connected_at",
        "last_sync_at",
        "created_at",
        "updated_at",
    ]
    required = [
        field.name
        for field in fields(ProviderConnection)
        if field.default is MISSING and field.default_factory is MISSING
    ]
    assert required == names[:5]


def test_it_can_be_made_by_position() -> None:
    one, two, three, now, sealed = uuid4(), uuid4(), uuid4(), datetime.now(UTC), credentials()
    made = ProviderConnection(
        one, two, three, "schwab", S.ACTIVE, "mine", sealed, now, now, now, now
    )
    assert (made.id, made.user_id, made.provider_id) == (one, two, three)
    assert (made.alias, made.credentials, made.connected_at) == ("mine", sealed, now)
    assert (made.last_sync_at, made.created_at, made.updated_at) == (now, now, now)


def test_status_has_no_default() -> None:
    with pytest.raises(TypeError):
        ProviderConnection(  # type: ignore[call-arg]
            id=uuid4(), user_id=uuid4(), provider_id=uuid4(), provider_slug="schwab"
        )


def test_everything_else_starts_empty_and_now() -> None:
    before = datetime.now(UTC)
    made = connection()
    after = datetime.now(UTC)
    assert (made.alias, made.credentials) == (None, None)
    assert (made.connected_at, made.last_sync_at) == (None, None)
    assert before <= made.created_at <= made.updated_at <= after
    assert made.created_at.utcoffset() == timedelta(0)
    assert made.updated_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "changes",
    [
        {"provider_slug": ""},
        {"provider_slug": "s" * 51},
        {"alias": "a" * 101},
        {"status": S.ACTIVE, "credentials": None},
        {"status": "active", "credentials": None},
    ],
    ids=["no slug", "long slug", "long alias", "active without credentials", "active as text"],
)
def test_what_cannot_be_a_connection_is_a_value_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        connection(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"provider_slug": "s"},
        {"provider_slug": "s" * 50},
        {"provider_slug": "A slug of any letters \u00e9"},
        {"alias": ""},
        {"alias": "a" * 100},
        {"alias": "\U0001f3e6" * 100},
        {"alias": None},
    ],
    ids=repr,
)
def test_lengths_up_to_the_limit_are_accepted(changes: dict[str, Any]) -> None:
    made = connection(**changes)
    assert {name: getattr(made, name) for name in changes} == changes


@pytest.mark.parametrize("status", [status for status in S if status is not S.ACTIVE])
@pytest.mark.parametrize("held", [None, credentials()], ids=["without", "with"])
def test_every_other_status_may_be_with_or_without_credentials(
    status: ConnectionStatus, held: ProviderCredentials | None
) -> None:
    assert connection(status, credentials=held).credentials == held


def test_an_active_connection_may_hold_expired_credentials() -> None:
    gone = credentials(timedelta(hours=-1))
    made = connection(S.ACTIVE, credentials=gone)
    assert made.is_connected() is True
    assert made.is_credentials_expired() is True
    assert made.is_credentials_expiring_soon() is True
    assert made.can_sync() is False


@pytest.mark.parametrize("status", S)
def test_only_an_active_connection_is_connected_and_can_sync(status: ConnectionStatus) -> None:
    made = connection(status, credentials=credentials())
    assert made.is_connected() is (status is S.ACTIVE)
    assert made.can_sync() is (status is S.ACTIVE)


@pytest.mark.parametrize("status", S)
def test_expired_revoked_and_failed_need_the_user(status: ConnectionStatus) -> None:
    expected = status in (S.EXPIRED, S.REVOKED, S.FAILED)
    assert connection(status).needs_reauthentication() is expected


@pytest.mark.parametrize("status", [status for status in S if status is not S.ACTIVE])
def test_without_credentials_nothing_expires(status: ConnectionStatus) -> None:
    made = connection(status)
    assert made.is_credentials_expired() is False
    assert made.is_credentials_expiring_soon() is False
    assert made.is_credentials_expiring_soon(timedelta(days=9999)) is False
    assert (made.is_connected(), made.can_sync()) == (False, False)


def test_an_active_connection_whose_credentials_were_taken_is_not_connected() -> None:
    made = connection(S.ACTIVE)
    made.credentials = None
    assert (made.is_connected(), made.can_sync()) == (False, False)


def test_expiring_soon_takes_a_threshold() -> None:
    made = connection(S.ACTIVE, credentials=credentials(timedelta(minutes=10)))
    assert made.is_credentials_expiring_soon() is False
    assert made.is_credentials_expiring_soon(timedelta(minutes=15)) is True
    assert made.is_credentials_expiring_soon(threshold=timedelta(minutes=15)) is True


def test_credentials_without_an_end_can_always_sync() -> None:
    made = connection(S.ACTIVE, credentials=credentials(None))
    assert (made.is_credentials_expired(), made.is_credentials_expiring_soon()) == (False, False)
    assert made.can_sync() is True


def test_a_connection_shows_no_sealed_data() -> None:
    assert "mlcanary" not in repr(connection(S.ACTIVE))
    assert "mlcanary" not in str(connection(S.ACTIVE))


def test_a_provider_has_the_same_id_everywhere() -> None:
    assert provider_id_of("schwab") == provider_id_of("schwab")
    assert provider_id_of("schwab") != provider_id_of("xero")
    assert isinstance(provider_id_of("schwab"), UUID)


@pytest.mark.parametrize("unstorable", ["a\x00b", "a\ud800b", "\udfff"])
def test_bug_a_name_no_database_can_hold_wedged_the_workflow_that_stored_it(
    unstorable: str,
) -> None:
    assert is_valid_alias(unstorable) is False
    assert is_valid_slug(unstorable) is False


def test_ordinary_names_may_be_asked_for() -> None:
    assert all(map(is_valid_alias, [None, "", "My bank \U0001f3e6", "a" * 100]))
    assert not is_valid_alias("a" * 101)
    assert all(map(is_valid_slug, ["x", "s" * 50]))
    assert not any(map(is_valid_slug, ["", "s" * 51]))
