"""What goes through Temporal is as small as it can be, and says the same."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from activities.payloads import Adopt, Refreshed, RenameConnection, Stored
from domain.outcomes import Outcome
from domain.standing import Standing
from domain.status import StatusReason

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = UUID(int=1)
STANDING = Standing(generation=7, expires_at=AT, lifetime=timedelta(hours=1))


def test_a_refresh_that_went_well_says_nothing_about_what_did_not_happen() -> None:
    refreshed = Refreshed(outcome=Outcome.REFRESHED, standing=STANDING)
    written = refreshed.model_dump(mode="json")
    assert set(written) == {"outcome", "standing"}
    assert set(written["standing"]) == {"generation", "expires_at", "lifetime"}
    assert Refreshed.model_validate_json(refreshed.model_dump_json()) == refreshed


def test_everything_that_did_happen_is_said() -> None:
    refreshed = Refreshed(
        outcome=Outcome.TRANSIENT,
        reason=StatusReason.GRANT_EXPIRED,
        retry_in=timedelta(seconds=3),
        failures=2,
        ended=True,
    )
    assert Refreshed.model_validate_json(refreshed.model_dump_json()) == refreshed


def test_what_has_no_default_is_always_said() -> None:
    """Else it could not be read: an alias that is None takes the name away."""
    for payload in (
        RenameConnection(connection_id=ID, alias=None),
        Stored(counted=False, standing=None),
        Adopt(connection_id=ID, user_id=ID, provider_id=ID, provider_slug="a", alias=None),
    ):
        assert type(payload).model_validate_json(payload.model_dump_json()) == payload


def test_what_was_written_in_full_before_is_still_read() -> None:
    full = '{"outcome":"refreshed","standing":null,"reason":null,"failures":0,"ended":false}'
    assert Refreshed.model_validate_json(full) == Refreshed(outcome=Outcome.REFRESHED)
