"""When data is read again: regularly, sooner after what passes, never where there is no sense."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.schedule import LONGEST_RETRY_AFTER
from domain.syncs import SPREAD, SyncOutcome, next_sync

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
EVERY = 6 * HOUR
PASSES = {
    SyncOutcome.TRANSIENT,
    SyncOutcome.RATE_LIMITED,
    SyncOutcome.UNAUTHORIZED,
    SyncOutcome.UNAVAILABLE,
}
ANY_ID = uuid4()


@given(st.uuids(), st.timedeltas(SECOND, 30 * 24 * HOUR))
def test_after_a_success_it_is_read_once_an_interval_or_a_tenth_sooner(
    connection_id: UUID, every: timedelta
) -> None:
    wait = next_sync(connection_id, every, SyncOutcome.SYNCED, 0)
    assert wait is not None
    assert every * (1 - SPREAD) - timedelta(microseconds=1) <= wait <= every


def test_each_connection_has_its_own_share_of_the_spread_and_keeps_it() -> None:
    ids = [uuid4() for _ in range(50)]
    waits = [next_sync(each, EVERY, SyncOutcome.SYNCED, 0) for each in ids]
    assert len(set(waits)) == 50
    assert waits == [next_sync(each, EVERY, SyncOutcome.SYNCED, 0) for each in ids]


@pytest.mark.parametrize("outcome", sorted(PASSES))
def test_what_passes_is_tried_again_soon_and_then_less_and_less_often(outcome: SyncOutcome) -> None:
    waits = [next_sync(ANY_ID, EVERY, outcome, failures) for failures in range(1, 12)]
    first, *_, last = waits
    assert first is not None
    assert last is not None
    assert SECOND <= first < 2 * SECOND
    assert timedelta(minutes=10) <= last <= timedelta(minutes=11)


@pytest.mark.parametrize("outcome", [SyncOutcome.FORBIDDEN, SyncOutcome.UNREADABLE])
def test_what_does_not_pass_soon_is_tried_no_oftener_than_ever(outcome: SyncOutcome) -> None:
    wait = next_sync(ANY_ID, EVERY, outcome, 1, SECOND)
    assert wait == next_sync(ANY_ID, EVERY, SyncOutcome.SYNCED, 0)


@pytest.mark.parametrize("outcome", [SyncOutcome.UNSUPPORTED, SyncOutcome.STOPPED])
def test_where_nothing_may_be_read_it_is_not_read_again_by_itself(outcome: SyncOutcome) -> None:
    assert next_sync(ANY_ID, EVERY, outcome, 1) is None


def test_the_provider_says_how_long_to_wait_but_no_longer_than_an_hour_or_the_interval() -> None:
    def wait(every: timedelta, asked: timedelta) -> timedelta:
        after = next_sync(ANY_ID, every, SyncOutcome.RATE_LIMITED, 1, asked)
        assert after is not None
        return after

    assert 7 * SECOND <= wait(EVERY, 7 * SECOND) < 8 * SECOND
    assert LONGEST_RETRY_AFTER <= wait(EVERY, 48 * HOUR) <= LONGEST_RETRY_AFTER * 1.1
    assert wait(60 * SECOND, 48 * HOUR) <= 60 * SECOND


def test_every_outcome_that_passes_or_does_not_is_a_failure_and_no_other_is() -> None:
    failures = {outcome for outcome in SyncOutcome if outcome.is_failure}
    assert failures == PASSES | {SyncOutcome.FORBIDDEN, SyncOutcome.UNREADABLE}
