"""Which clocks run after an authorization and after a refresh, and who is believed about them."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.deadlines import (
    REASON_WHEN_PASSED,
    Deadline,
    DeadlineKind,
    DeadlineSource,
    Known,
    Lifetimes,
    access_token_end,
    after_authorization,
    after_refresh,
)

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = AT + timedelta(minutes=30)
K, F = DeadlineKind, DeadlineSource
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ORDER = [F.OPERATOR, F.RESPONSE, F.JWT, F.CATALOGUE]
MOMENTS = st.timedeltas(min_value=-9999 * DAY, max_value=9999 * DAY).map(lambda span: AT + span)
SPANS = st.one_of(st.none(), st.timedeltas(min_value=timedelta(0), max_value=3650 * DAY))
LIFETIMES = st.builds(Lifetimes, SPANS, SPANS, SPANS, SPANS)
KNOWN = st.dictionaries(st.sampled_from(F), LIFETIMES)


def everything(span: timedelta) -> Lifetimes:
    return Lifetimes(span, span, span, span)


@pytest.mark.parametrize(("first", "second"), list(combinations(ORDER, 2)))
@pytest.mark.parametrize("kind", DeadlineKind)
def test_the_more_trusted_source_is_believed(
    first: DeadlineSource, second: DeadlineSource, kind: DeadlineKind
) -> None:
    known = {second: everything(DAY), first: everything(HOUR)}
    (found,) = [each for each in after_authorization(AT, known) if each.kind is kind]
    assert found == Deadline(kind, AT + HOUR, first)


def test_a_source_that_is_silent_about_one_clock_leaves_it_to_the_next() -> None:
    known = {F.RESPONSE: Lifetimes(access_token=HOUR), F.CATALOGUE: everything(DAY)}
    found = {each.kind: each.source for each in after_authorization(AT, known)}
    assert found == {
        K.ACCESS_TOKEN: F.RESPONSE,
        K.REFRESH_TOKEN: F.CATALOGUE,
        K.GRANT: F.CATALOGUE,
        K.CONSENT: F.CATALOGUE,
    }


def test_what_nobody_states_does_not_run() -> None:
    assert after_authorization(AT, {}) == ()
    assert after_refresh((), AT, {}) == ()


@given(MOMENTS, KNOWN)
def test_every_clock_that_anyone_knows_starts_with_the_authorization(
    at: datetime, known: Known
) -> None:
    deadlines = after_authorization(at, known)
    kinds = [each.kind for each in deadlines]
    stated = [kind for kind in K if any(each.of(kind) is not None for each in known.values())]
    assert kinds == stated
    for each in deadlines:
        assert each.at - at == known[each.source].of(each.kind)


@given(MOMENTS, KNOWN, KNOWN)
def test_a_refresh_restarts_the_tokens_clocks_and_no_other(
    at: datetime, before: Known, answer: Known
) -> None:
    old = {each.kind: each for each in after_authorization(at, before)}
    refreshed_at = at + HOUR
    new = {each.kind: each for each in after_refresh(old.values(), refreshed_at, answer)}
    anew = {each.kind: each for each in after_authorization(refreshed_at, answer)}
    for kind in (K.ACCESS_TOKEN, K.REFRESH_TOKEN):
        assert new.get(kind) == anew.get(kind)
    for kind in (K.GRANT, K.CONSENT):
        restated = anew.get(kind)
        if restated is None or restated.source is F.CATALOGUE:
            assert new.get(kind) == old.get(kind)
        else:
            assert new[kind] == restated


def test_a_grant_runs_on_through_any_number_of_refreshes() -> None:
    catalogue = {F.CATALOGUE: Lifetimes(access_token=HOUR, grant=7 * DAY)}
    deadlines = after_authorization(AT, catalogue)
    for hour in range(1, 100):
        deadlines = after_refresh(deadlines, AT + hour * HOUR, catalogue)
    assert Deadline(K.GRANT, AT + 7 * DAY, F.CATALOGUE) in deadlines
    assert access_token_end(deadlines) == AT + 100 * HOUR


def test_a_catalogue_that_learns_of_a_grants_end_later_does_not_start_it_with_a_refresh() -> None:
    learned = {F.CATALOGUE: Lifetimes(grant=7 * DAY, consent=90 * DAY)}
    assert after_refresh((), LATER, learned) == ()


def test_a_consent_that_the_answer_states_anew_replaces_the_old_end() -> None:
    old = after_authorization(AT, {F.RESPONSE: Lifetimes(consent=90 * DAY)})
    new = after_refresh(old, LATER, {F.RESPONSE: Lifetimes(consent=10 * DAY)})
    assert new == (Deadline(K.CONSENT, LATER + 10 * DAY, F.RESPONSE),)


def test_a_refresh_tokens_idle_end_moves_with_every_refresh() -> None:
    idle = {F.CATALOGUE: Lifetimes(refresh_token=60 * DAY)}
    old = after_authorization(AT, idle)
    moved = Deadline(K.REFRESH_TOKEN, LATER + 60 * DAY, F.CATALOGUE)
    assert after_refresh(old, LATER, idle) == (moved,)


def test_every_end_that_a_person_must_act_on_is_a_reason() -> None:
    assert set(REASON_WHEN_PASSED) == set(K) - {K.ACCESS_TOKEN}


def test_a_lifetime_can_be_asked_for_by_kind() -> None:
    lifetimes = Lifetimes(1 * DAY, 2 * DAY, 3 * DAY, 4 * DAY)
    assert [lifetimes.of(kind) for kind in K] == [1 * DAY, 2 * DAY, 3 * DAY, 4 * DAY]
