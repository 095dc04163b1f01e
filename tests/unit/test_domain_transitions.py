"""Every operation from every status: what it changes, what it answers, what it leaves alone."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.connection import ProviderConnection
from domain.credentials import CredentialType, ProviderCredentials
from domain.errors import ProviderConnectionError as Error
from domain.result import Failure, Result, Success
from domain.status import ConnectionStatus

S = ConnectionStatus
OLD = ProviderCredentials(b"old", CredentialType.OAUTH2)
NEW = ProviderCredentials(b"new", CredentialType.OAUTH2)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def connection(status: ConnectionStatus) -> ProviderConnection:
    held = None if status in (S.PENDING, S.DISCONNECTED) else OLD
    one = uuid4()
    return ProviderConnection(
        one, one, one, "schwab", status, None, held, None, None, LONG_AGO, LONG_AGO
    )


@dataclass(frozen=True)
class Operation:
    """One row of the contract's table."""

    name: str
    allowed: tuple[ConnectionStatus, ...]
    becomes: ConnectionStatus | None
    refusal: str | None
    takes_credentials: bool = False

    def call(self, subject: ProviderConnection, **keywords: Any) -> Result[None, str]:
        operation: Callable[..., Result[None, str]] = getattr(subject, self.name)
        return operation(*([NEW] if self.takes_credentials else []), **keywords)


OPERATIONS = [
    Operation(
        "mark_connected",
        (S.PENDING, S.EXPIRED, S.REVOKED, S.FAILED),
        S.ACTIVE,
        Error.CANNOT_TRANSITION_TO_ACTIVE,
        takes_credentials=True,
    ),
    Operation("mark_failed", (S.PENDING,), S.FAILED, Error.CANNOT_TRANSITION_TO_FAILED),
    Operation("mark_expired", (S.ACTIVE,), S.EXPIRED, Error.CANNOT_TRANSITION_TO_EXPIRED),
    Operation("mark_revoked", (S.ACTIVE,), S.REVOKED, Error.CANNOT_TRANSITION_TO_REVOKED),
    Operation("mark_disconnected", tuple(S), S.DISCONNECTED, None),
    Operation("update_credentials", (S.ACTIVE,), None, Error.NOT_CONNECTED, takes_credentials=True),
    Operation("record_sync", (S.ACTIVE,), None, Error.NOT_CONNECTED),
]
EVERY = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
FROM = pytest.mark.parametrize("status", S)


@EVERY
@FROM
def test_every_operation_succeeds_or_fails_as_the_table_says(
    operation: Operation, status: ConnectionStatus
) -> None:
    subject = connection(status)
    before = copy(subject)
    result = operation.call(subject)
    if status in operation.allowed:
        assert result == Success(value=None)
        assert subject.status is (operation.becomes or status)
        assert subject.updated_at > before.updated_at
    else:
        assert result == Failure(error=operation.refusal)
        assert subject == before


@EVERY
@FROM
def test_every_operation_takes_the_instant_it_happens_at(
    operation: Operation, status: ConnectionStatus
) -> None:
    subject = connection(status)
    operation.call(subject, at=AT)
    assert subject.updated_at == (AT if status in operation.allowed else LONG_AGO)


@EVERY
def test_the_instant_is_a_keyword_only(operation: Operation) -> None:
    subject = connection(operation.allowed[0])
    arguments = [NEW, AT] if operation.takes_credentials else [AT]
    with pytest.raises(TypeError):
        getattr(subject, operation.name)(*arguments)


@EVERY
def test_without_an_instant_it_is_now_in_utc(operation: Operation) -> None:
    subject = connection(operation.allowed[0])
    before = datetime.now(UTC)
    operation.call(subject)
    assert before <= subject.updated_at <= datetime.now(UTC)
    assert subject.updated_at.utcoffset() == timedelta(0)


@EVERY
def test_who_it_is_never_changes(operation: Operation) -> None:
    subject = connection(operation.allowed[0])
    before = copy(subject)
    operation.call(subject)
    kept = ("id", "user_id", "provider_id", "provider_slug", "alias", "created_at")
    assert [getattr(subject, name) for name in kept] == [getattr(before, name) for name in kept]


@FROM
@pytest.mark.parametrize("name", ["mark_connected", "update_credentials"])
def test_missing_credentials_are_refused_before_anything_else(
    name: str, status: ConnectionStatus
) -> None:
    subject = connection(status)
    before = copy(subject)
    assert getattr(subject, name)(None) == Failure(error=Error.CREDENTIALS_REQUIRED)
    assert subject == before


@pytest.mark.parametrize("status", [S.PENDING, S.EXPIRED, S.REVOKED, S.FAILED])
def test_connecting_replaces_the_credentials(status: ConnectionStatus) -> None:
    subject = connection(status)
    subject.mark_connected(NEW, at=AT)
    assert (subject.credentials, subject.connected_at) == (NEW, AT)
    assert subject.is_connected()


def test_connected_at_is_set_once() -> None:
    subject = connection(S.PENDING)
    subject.mark_connected(OLD, at=AT)
    subject.mark_expired()
    subject.mark_connected(NEW)
    assert subject.connected_at == AT
    subject.mark_revoked()
    subject.mark_connected(NEW)
    assert subject.connected_at == AT
    subject.mark_disconnected()
    assert subject.connected_at == AT


@pytest.mark.parametrize("name", ["mark_expired", "mark_revoked"])
def test_expiring_and_revoking_keep_the_credentials(name: str) -> None:
    subject = connection(S.ACTIVE)
    getattr(subject, name)()
    assert subject.credentials == OLD


@FROM
def test_disconnecting_clears_the_credentials_again_and_again(status: ConnectionStatus) -> None:
    subject = connection(status)
    for day in range(3):
        at = AT + timedelta(days=day)
        assert subject.mark_disconnected(at=at) == Success(value=None)
        assert (subject.status, subject.credentials) == (S.DISCONNECTED, None)
        assert subject.updated_at == at


def test_updating_replaces_the_credentials_and_nothing_else() -> None:
    subject = connection(S.ACTIVE)
    before = copy(subject)
    subject.update_credentials(NEW, at=AT)
    assert subject == replace(before, credentials=NEW, updated_at=AT)


def test_a_sync_is_recorded_and_changes_nothing_else() -> None:
    subject = connection(S.ACTIVE)
    before = copy(subject)
    subject.record_sync(at=AT)
    assert subject == replace(before, last_sync_at=AT, updated_at=AT)
    subject.record_sync()
    assert subject.last_sync_at == subject.updated_at > AT


def test_bug_many_changes_within_one_tick_of_the_clock_moved_updated_at_back() -> None:
    subject = connection(S.ACTIVE)
    subject.updated_at = before = datetime.now(UTC) + timedelta(milliseconds=500)
    for _ in range(3):
        subject.record_sync()
        assert subject.updated_at > before
        before = subject.updated_at


def test_two_changes_within_one_tick_of_the_clock_still_move_updated_at() -> None:
    subject = connection(S.ACTIVE)
    for _ in range(1000):
        before = subject.updated_at
        subject.record_sync()
        assert subject.updated_at > before


@pytest.mark.parametrize(
    "updated_at",
    [datetime(2020, 1, 1), datetime.max.replace(tzinfo=UTC)],  # noqa: DTZ001 -- naive is the point
    ids=["naive", "the end of time"],
)
def test_bug_a_transition_raised_half_done_where_updated_at_was_odd(updated_at: datetime) -> None:
    subject = connection(S.ACTIVE)
    subject.updated_at = updated_at
    before = datetime.now(UTC)
    assert subject.mark_expired() == Success(value=None)
    assert before <= subject.updated_at <= datetime.now(UTC)


def test_a_status_given_as_text_behaves_like_the_status() -> None:
    one = uuid4()
    subject = ProviderConnection(one, one, one, "schwab", S("active"), credentials=OLD)
    subject.status = "active"  # type: ignore[assignment]
    assert subject.is_connected()
    assert subject.record_sync() == Success(value=None)
    assert subject.mark_revoked() == Success(value=None)
