"""Sealed credentials as a value: what is refused, what they answer, what they never show."""

import copy
import pickle
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest

from domain.credentials import CredentialType, ProviderCredentials

DATA = b"mlcanary-sealed"
HOUR = timedelta(hours=1)
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


class NowhereZone(tzinfo):
    """Set, and yet it does not say how far from UTC."""

    def utcoffset(self, _: datetime | None) -> timedelta | None:
        return None

    dst = utcoffset

    def tzname(self, _: datetime | None) -> str | None:
        return None

    def __repr__(self) -> str:
        return "NowhereZone()"


def sealed(expires_at: datetime | None = None, **changes: Any) -> ProviderCredentials:
    usual: dict[str, Any] = {
        "encrypted_data": DATA,
        "credential_type": CredentialType.OAUTH2,
        "expires_at": expires_at,
    }
    return ProviderCredentials(**{**usual, **changes})


def now() -> datetime:
    return datetime.now(UTC)


def test_the_fields_stand_in_the_contracts_order() -> None:
    assert [field.name for field in fields(ProviderCredentials)] == [
        "encrypted_data",
        "credential_type",
        "expires_at",
    ]
    made = ProviderCredentials(DATA, CredentialType.API_KEY, AT)
    assert (made.encrypted_data, made.credential_type, made.expires_at) == (
        DATA,
        CredentialType.API_KEY,
        AT,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"encrypted_data": b""},
        {"encrypted_data": "text"},
        {"encrypted_data": ""},
        {"encrypted_data": None},
        {"encrypted_data": bytearray(DATA)},
        pytest.param({"encrypted_data": memoryview(DATA)}, id="memoryview"),
        {"encrypted_data": [1, 2]},
        {"credential_type": "oauth2"},
        {"credential_type": None},
        {"expires_at": datetime(2026, 11, 21)},  # noqa: DTZ001 -- naive is the point
        {"expires_at": datetime(2026, 11, 21, tzinfo=NowhereZone())},
        {"expires_at": "2026-11-21T00:00:00+00:00"},
        {"expires_at": 1_790_000_000},
    ],
    ids=repr,
)
def test_what_cannot_be_credentials_is_a_value_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        sealed(**changes)


def test_an_error_does_not_show_what_was_given() -> None:
    with pytest.raises(ValueError) as refused:
        sealed(encrypted_data="mlcanary-in-the-clear")
    assert "mlcanary" not in str(refused.value)


@pytest.mark.parametrize("field", ["encrypted_data", "credential_type", "expires_at"])
def test_credentials_are_frozen(field: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(sealed(), field, None)


def test_credentials_are_compared_by_value_and_hashable() -> None:
    assert sealed(AT) == sealed(AT)
    assert len({sealed(AT), sealed(AT), sealed()}) == 2
    assert sealed(AT) != sealed(AT, encrypted_data=b"other")
    assert sealed(AT) != sealed(AT, credential_type=CredentialType.CUSTOM)
    assert sealed(AT) != sealed()
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    assert (sealed(elsewhere), hash(sealed(elsewhere))) == (sealed(AT), hash(sealed(AT)))


@pytest.mark.parametrize("kind", CredentialType)
def test_every_type_is_accepted_and_only_two_can_be_refreshed(kind: CredentialType) -> None:
    renewable = kind in (CredentialType.OAUTH2, CredentialType.LINK_TOKEN)
    assert sealed(credential_type=kind).supports_refresh() is renewable


def test_without_an_end_they_never_expire() -> None:
    endless = sealed()
    assert endless.is_expired() is False
    assert endless.is_expiring_soon() is False
    assert endless.is_expiring_soon(timedelta.max) is False
    assert endless.time_until_expiry() is None


def test_a_past_end_is_allowed_and_means_expired() -> None:
    past = sealed(now() - HOUR)
    assert past.is_expired() is True
    assert past.is_expiring_soon() is True
    assert past.time_until_expiry() == timedelta(0)


def test_a_future_end_is_not_expired() -> None:
    coming = sealed(now() + HOUR)
    assert coming.is_expired() is False
    assert coming.is_expiring_soon() is False
    left = coming.time_until_expiry()
    assert left is not None
    assert timedelta(minutes=59) < left <= HOUR


def test_five_minutes_count_as_soon_unless_another_threshold_is_given() -> None:
    coming = sealed(now() + timedelta(minutes=4))
    assert coming.is_expiring_soon() is True
    assert coming.is_expiring_soon(timedelta(minutes=3)) is False
    assert coming.is_expiring_soon(threshold=timedelta(minutes=5)) is True


def test_the_end_itself_and_the_threshold_itself_count() -> None:
    ending = sealed(AT)
    assert ending.is_expired(at=AT) is True
    assert ending.is_expired(at=AT - timedelta(microseconds=1)) is False
    assert ending.is_expiring_soon(HOUR, at=AT - HOUR) is True
    assert ending.is_expiring_soon(HOUR, at=AT - HOUR - timedelta(microseconds=1)) is False
    assert ending.time_until_expiry(at=AT - HOUR) == HOUR


def test_another_time_zone_changes_nothing() -> None:
    there = timezone(timedelta(hours=-8))
    assert sealed((now() - HOUR).astimezone(there)).is_expired() is True
    assert sealed((now() + HOUR).astimezone(there)).is_expired() is False


@pytest.mark.parametrize(
    ("extreme", "over"),
    [(datetime.min.replace(tzinfo=UTC), True), (datetime.max.replace(tzinfo=UTC), False)],
)
def test_bug_an_end_at_the_edge_of_the_calendar_overflowed(extreme: datetime, over: bool) -> None:
    edge = sealed(extreme)
    assert edge.is_expired() is over
    assert edge.is_expiring_soon() is over
    assert edge.is_expiring_soon(timedelta.max) is True
    assert (edge.time_until_expiry() == timedelta(0)) is over


def test_repr_shows_type_iso_end_and_byte_count() -> None:
    shown = repr(sealed(AT))
    assert "oauth2" in shown
    assert AT.isoformat() in shown
    assert str(len(DATA)) in shown


def test_str_shows_type_and_whether_they_are_valid() -> None:
    assert "oauth2" in str(sealed())
    assert "valid" in str(sealed())
    assert "valid" in str(sealed(now() + HOUR))
    gone = str(sealed(now() - HOUR))
    assert "expired" in gone
    assert "valid" not in gone


@pytest.mark.parametrize("expires_at", [None, AT])
def test_neither_repr_nor_str_nor_format_shows_the_data(expires_at: datetime | None) -> None:
    value = sealed(expires_at)
    for shown in (
        repr(value),
        str(value),
        f"{value}",
        f"{value!r}",
        repr([value]),
    ):
        assert "mlcanary" not in shown
        assert DATA.hex() not in shown


def test_credentials_travel_unchanged() -> None:
    value = sealed(AT)
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value
