"""When to refresh and when to try again, as properties that hold for any lifetime."""

from datetime import timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.schedule import (
    KEEP_ALIVE,
    LONGEST_BACKOFF,
    capped_min_ttl,
    refresh_after,
    refresh_floor,
    refresh_jitter,
    refresh_margin,
    retry_delay,
)

ZERO, SECOND, MINUTE = timedelta(0), timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
IDS = st.uuids()
LIFETIMES = st.timedeltas(min_value=SECOND, max_value=3650 * DAY)
ANY = st.timedeltas(min_value=-3650 * DAY, max_value=3650 * DAY)


@given(LIFETIMES)
def test_the_margin_is_a_fifth_within_a_minute_and_a_quarter_of_an_hour(
    lifetime: timedelta,
) -> None:
    margin = refresh_margin(lifetime)
    assert ZERO < margin <= lifetime / 2
    assert margin <= timedelta(minutes=15)
    if lifetime >= 2 * MINUTE:
        assert margin >= MINUTE
    if 5 * MINUTE <= lifetime <= timedelta(minutes=75):
        assert margin == lifetime / 5


@pytest.mark.parametrize(
    ("lifetime", "margin"),
    [
        (-HOUR, ZERO),
        (ZERO, ZERO),
        (4 * SECOND, 2 * SECOND),
        (timedelta(seconds=119), timedelta(seconds=59.5)),
        (2 * MINUTE, MINUTE),
        (5 * MINUTE, MINUTE),
        (timedelta(minutes=30), timedelta(minutes=6)),
        (HOUR, timedelta(minutes=12)),
        (12 * HOUR, timedelta(minutes=15)),
        (3650 * DAY, timedelta(minutes=15)),
    ],
    ids=str,
)
def test_margins_of_lifetimes_one_meets(lifetime: timedelta, margin: timedelta) -> None:
    assert refresh_margin(lifetime) == margin


@given(IDS, ANY)
def test_jitter_is_at_most_a_quarter_of_the_margin_and_always_the_same(
    connection_id: UUID, lifetime: timedelta
) -> None:
    margin = refresh_margin(lifetime)
    jitter = refresh_jitter(connection_id, margin)
    assert ZERO <= jitter <= margin / 4
    assert jitter == refresh_jitter(UUID(str(connection_id)), margin)


def test_connections_that_were_authorized_together_do_not_refresh_together() -> None:
    at = sorted(refresh_after(uuid4(), HOUR) for _ in range(1000))
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert at[-1] - at[0] > 2.5 * MINUTE
    assert max(gaps) < 10 * SECOND


@given(st.one_of(st.none(), ANY))
def test_the_floor_is_a_quarter_of_the_lifetime_and_at_most_a_minute(
    lifetime: timedelta | None,
) -> None:
    floor = refresh_floor(lifetime)
    if lifetime is None or lifetime < SECOND:
        assert floor == MINUTE
    else:
        assert floor == min(MINUTE, lifetime / 4)


@given(IDS, LIFETIMES)
def test_a_token_is_refreshed_before_it_ends(connection_id: UUID, lifetime: timedelta) -> None:
    after = refresh_after(connection_id, lifetime)
    assert ZERO < after < lifetime
    if after < KEEP_ALIVE:
        assert lifetime - after >= refresh_margin(lifetime)


@given(IDS, st.one_of(st.none(), ANY), st.timedeltas(min_value=SECOND, max_value=400 * DAY))
def test_no_refresh_comes_sooner_than_the_floor_or_later_than_it_must(
    connection_id: UUID, lifetime: timedelta | None, keep_alive: timedelta
) -> None:
    after = refresh_after(connection_id, lifetime, keep_alive)
    assert after >= refresh_floor(lifetime)
    assert after <= max(keep_alive, refresh_floor(lifetime))
    assert after == refresh_after(connection_id, lifetime, keep_alive)


@given(IDS)
def test_a_missing_lifetime_means_once_a_day_and_never_means_never(connection_id: UUID) -> None:
    assert refresh_after(connection_id, None) == DAY
    assert refresh_after(connection_id, None, 3 * HOUR) == 3 * HOUR


@given(IDS)
def test_a_token_for_ten_years_is_kept_alive_daily(connection_id: UUID) -> None:
    assert refresh_after(connection_id, 3650 * DAY) == DAY


@given(IDS, st.timedeltas(min_value=-DAY, max_value=timedelta(microseconds=999_999)))
def test_bug_lifetimes_below_a_second_made_a_hot_loop(
    connection_id: UUID, lifetime: timedelta
) -> None:
    assert refresh_after(connection_id, lifetime) == MINUTE


@given(IDS)
def test_bug_a_tiny_keep_alive_beat_the_floor(connection_id: UUID) -> None:
    assert refresh_after(connection_id, None, SECOND) == MINUTE


@given(ANY, st.one_of(st.none(), ANY))
def test_no_more_life_is_promised_than_half_the_lifetime(
    asked: timedelta, lifetime: timedelta | None
) -> None:
    promised = capped_min_ttl(asked, lifetime)
    assert ZERO <= promised <= max(asked, ZERO)
    if lifetime is not None:
        assert promised <= max(lifetime, ZERO) / 2
        if ZERO <= asked <= lifetime / 2:
            assert promised == asked
    else:
        assert promised == max(asked, ZERO)


@given(IDS, st.integers(min_value=-5, max_value=10**6), st.timedeltas())
def test_what_the_provider_asks_for_is_kept_between_a_second_and_an_hour(
    connection_id: UUID, failures: int, asked: timedelta
) -> None:
    delay = retry_delay(connection_id, failures, asked)
    kept = min(max(asked, SECOND), HOUR)
    assert kept <= delay <= kept * 1.1


@given(IDS, st.integers(min_value=-5, max_value=10**6))
def test_backoff_doubles_from_a_second_to_ten_minutes(connection_id: UUID, failures: int) -> None:
    delay = retry_delay(connection_id, failures)
    wanted = min(SECOND * 2 ** min(max(failures, 1) - 1, 20), LONGEST_BACKOFF)
    assert wanted <= delay <= wanted * 1.1
    assert delay == retry_delay(connection_id, failures)


def test_a_thousand_connections_that_were_told_the_same_do_not_come_back_together() -> None:
    delays = {retry_delay(uuid4(), 1, MINUTE) for _ in range(1000)}
    assert len(delays) > 990
