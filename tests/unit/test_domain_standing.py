"""How credentials stand: durations for the workflow, an instant for people."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from domain.deadlines import Deadline, DeadlineKind, DeadlineSource
from domain.schedule import refresh_after
from domain.standing import EndOfGrant, Standing, end_of_grant, next_refresh, standing
from domain.status import StatusReason

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR, DAY, ZERO = timedelta(hours=1), timedelta(days=1), timedelta(0)
K, R = DeadlineKind, StatusReason


def end(kind: DeadlineKind, after: timedelta) -> Deadline:
    return Deadline(kind, AT + after, DeadlineSource.RESPONSE)


ACCESS, IDLE = end(K.ACCESS_TOKEN, HOUR), end(K.REFRESH_TOKEN, 60 * DAY)
GRANT, CONSENT = end(K.GRANT, 7 * DAY), end(K.CONSENT, 90 * DAY)
DEADLINES = st.lists(
    st.builds(end, st.sampled_from(K), st.timedeltas(min_value=ZERO, max_value=999 * DAY)),
    unique_by=lambda each: each.kind,
).map(tuple)


@given(st.uuids(), DEADLINES)
def test_the_next_refresh_counts_from_when_the_token_was_asked_for(
    connection_id: UUID, deadlines: tuple[Deadline, ...]
) -> None:
    lives = next((each.at - AT for each in deadlines if each.kind is K.ACCESS_TOKEN), None)
    assert next_refresh(connection_id, deadlines, AT) == AT + refresh_after(connection_id, lives)
    kept_alive = next_refresh(connection_id, deadlines, AT, 2 * HOUR)
    assert kept_alive == AT + refresh_after(connection_id, lives, 2 * HOUR)


@given(DEADLINES, st.booleans(), st.timedeltas(min_value=ZERO, max_value=2000 * DAY))
def test_a_standing_never_speaks_of_the_past(
    deadlines: tuple[Deadline, ...], refreshable: bool, later: timedelta
) -> None:
    found = standing(
        3,
        deadlines,
        sent_at=AT,
        refresh_at=AT + HOUR if refreshable else None,
        refreshable=refreshable,
        now=AT + later,
    )
    assert found.generation == 3
    for left in (found.refresh_in, found.ends_in):
        assert left is None or left >= ZERO
    assert (found.refresh_in is None) is not refreshable
    assert (found.ends_in is None) == (found.ends_because is None)
    assert (found.ends_in is None) == (found.reauthorize_by is None)
    if found.reauthorize_by is not None:
        assert found.ends_in == max(found.reauthorize_by - (AT + later), ZERO)


def test_a_refreshable_grant_without_known_ends_has_none() -> None:
    found = standing(1, (ACCESS,), sent_at=AT, refresh_at=AT + HOUR / 2, refreshable=True, now=AT)
    assert found == Standing(generation=1, expires_at=AT + HOUR, lifetime=HOUR, refresh_in=HOUR / 2)


def test_the_earliest_end_is_named() -> None:
    everything = (ACCESS, IDLE, GRANT, CONSENT)
    found = standing(
        1, everything, sent_at=AT, refresh_at=AT + HOUR / 2, refreshable=True, now=AT + HOUR / 4
    )
    assert (found.ends_because, found.ends_in) == (R.GRANT_EXPIRED, 7 * DAY - HOUR / 4)
    assert found.reauthorize_by == AT + 7 * DAY
    assert end_of_grant((ACCESS, IDLE, CONSENT), refreshable=True) == EndOfGrant(
        IDLE.at, R.REFRESH_TOKEN_EXPIRED
    )
    assert end_of_grant((CONSENT,), refreshable=True) == EndOfGrant(CONSENT.at, R.CONSENT_EXPIRED)


def test_what_cannot_be_refreshed_ends_with_the_access_token() -> None:
    found = standing(1, (ACCESS, GRANT), sent_at=AT, refresh_at=None, refreshable=False, now=AT)
    assert (found.ends_in, found.ends_because) == (HOUR, R.NOT_REFRESHABLE)
    assert found.refresh_in is None


def test_what_cannot_be_refreshed_may_end_sooner_by_its_grant() -> None:
    short = end(K.GRANT, HOUR / 2)
    assert end_of_grant((ACCESS, short), refreshable=False) == EndOfGrant(
        AT + HOUR / 2, R.GRANT_EXPIRED
    )


@given(DEADLINES, st.booleans())
def test_a_person_must_act_at_the_earliest_end_that_no_refresh_moves(
    deadlines: tuple[Deadline, ...], refreshable: bool
) -> None:
    ours = K.ACCESS_TOKEN if refreshable else K.REFRESH_TOKEN
    ends = [each.at for each in deadlines if each.kind is not ours]
    found = end_of_grant(deadlines, refreshable=refreshable)
    assert (found.at if found else None) == min(ends, default=None)


def test_bug_a_grant_without_a_refresh_token_ended_with_the_one_it_never_had() -> None:
    idle = end(K.REFRESH_TOKEN, HOUR)
    assert end_of_grant((idle,), refreshable=False) is None
    assert end_of_grant((idle, GRANT), refreshable=False) == EndOfGrant(GRANT.at, R.GRANT_EXPIRED)


def test_a_token_without_any_end_has_none() -> None:
    found = standing(1, (), sent_at=AT, refresh_at=None, refreshable=False, now=AT)
    assert found == Standing(generation=1)


def test_a_standing_travels_through_json_and_ignores_what_it_does_not_know() -> None:
    found = standing(
        1, (ACCESS, GRANT), sent_at=AT, refresh_at=AT + HOUR / 2, refreshable=True, now=AT
    )
    assert Standing.model_validate_json(found.model_dump_json()) == found
    assert Standing.model_validate({"generation": 1, "of_the_future": uuid4()}).generation == 1
