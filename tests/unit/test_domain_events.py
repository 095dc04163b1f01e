"""The nine events of the contract and the others of this project: exactly these fields, frozen."""

import inspect
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain import events
from domain.events import (
    DomainEvent,
    ProviderConnectionAttempted,
    ProviderConnectionFailed,
    ProviderConnectionSucceeded,
    ProviderDisconnectionAttempted,
    ProviderDisconnectionFailed,
    ProviderDisconnectionSucceeded,
    ProviderTokenRefreshAttempted,
    ProviderTokenRefreshFailed,
    ProviderTokenRefreshSucceeded,
)

BASE = ["event_id", "occurred_at"]
OF_CONNECTION = ["user_id", "connection_id", "provider_id", "provider_slug"]
FIELDS: dict[type[DomainEvent], list[str]] = {
    ProviderConnectionAttempted: ["user_id", "provider_id", "provider_slug"],
    ProviderConnectionSucceeded: ["user_id", "provider_id", "provider_slug", "connection_id"],
    ProviderConnectionFailed: ["user_id", "provider_id", "provider_slug", "reason"],
    ProviderDisconnectionAttempted: OF_CONNECTION,
    ProviderDisconnectionSucceeded: OF_CONNECTION,
    ProviderDisconnectionFailed: [*OF_CONNECTION, "reason"],
    ProviderTokenRefreshAttempted: OF_CONNECTION,
    ProviderTokenRefreshSucceeded: OF_CONNECTION,
    ProviderTokenRefreshFailed: [*OF_CONNECTION, "reason", "needs_user_action"],
}
NINE = pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
ALL = [
    kind
    for _, kind in inspect.getmembers(events, inspect.isclass)
    if issubclass(kind, DomainEvent) and not kind.__name__.startswith("_")
]


NUMBERS = ("days_left", "accounts", "holdings", "transactions")
AT = datetime(2026, 11, 24, tzinfo=UTC)


def made(kind: type[DomainEvent], **more: Any) -> Any:
    values: dict[str, Any] = {}
    for field in fields(kind):
        if field.name.endswith("_id") and field.name != "event_id":
            values[field.name] = uuid4()
        elif field.name in ("provider_slug", "reason"):
            values[field.name] = field.name
        elif field.name in NUMBERS:
            values[field.name] = 1
    if kind is events.ConnectionExpiring:
        values["ends_at"] = AT
    return kind(**{**values, **more})


def test_there_are_nine_of_the_contract() -> None:
    assert len(FIELDS) == 9
    assert set(FIELDS) <= set(ALL)


@NINE
def test_bug_fields_stood_in_another_order_than_the_contracts(kind: type[DomainEvent]) -> None:
    assert [field.name for field in fields(kind)] == [*BASE, *FIELDS[kind]]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_no_event_has_room_for_a_secret_or_a_providers_text(kind: type[DomainEvent]) -> None:
    assert {field.name for field in fields(kind)} <= {
        *BASE,
        *OF_CONNECTION,
        "reason",
        "needs_user_action",
        "ends_at",
        *NUMBERS,
    }


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_events_are_frozen(kind: type[DomainEvent]) -> None:
    event = made(kind)
    for field in fields(kind):
        with pytest.raises(FrozenInstanceError):
            setattr(event, field.name, None)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_events_are_made_with_keywords_only(kind: type[DomainEvent]) -> None:
    with pytest.raises(TypeError):
        kind(uuid4())  # type: ignore[call-arg]


@NINE
def test_every_field_but_the_bases_must_be_given(kind: type[DomainEvent]) -> None:
    complete = {field.name: getattr(made(kind), field.name) for field in fields(kind)}
    for name in FIELDS[kind]:
        if name == "needs_user_action":
            continue
        with pytest.raises(TypeError):
            kind(**{field: value for field, value in complete.items() if field != name})


@NINE
def test_an_event_has_a_time_ordered_id_of_version_seven(kind: type[DomainEvent]) -> None:
    first, second = made(kind), made(kind)
    assert isinstance(first.event_id, UUID)
    assert first.event_id.version == 7
    assert UUID(str(first.event_id)).version == 7
    assert first.event_id < second.event_id


@NINE
def test_an_event_knows_when_it_happened_in_utc(kind: type[DomainEvent]) -> None:
    before = datetime.now(UTC)
    event = made(kind)
    assert before <= event.occurred_at <= datetime.now(UTC)
    assert event.occurred_at.utcoffset() == timedelta(0)


@NINE
def test_id_and_instant_can_be_given(kind: type[DomainEvent]) -> None:
    event_id, at = uuid4(), datetime(2026, 11, 21, tzinfo=UTC)
    event = made(kind, event_id=event_id, occurred_at=at)
    assert (event.event_id, event.occurred_at) == (event_id, at)


def test_events_are_values() -> None:
    event = made(ProviderTokenRefreshFailed)
    same = {field.name: getattr(event, field.name) for field in fields(event)}
    assert ProviderTokenRefreshFailed(**same) == event
    assert hash(ProviderTokenRefreshFailed(**same)) == hash(event)


def test_the_user_need_not_act_on_a_failed_refresh_unless_it_says_so() -> None:
    assert made(ProviderTokenRefreshFailed).needs_user_action is False
    assert made(ProviderTokenRefreshFailed, needs_user_action=True).needs_user_action is True
