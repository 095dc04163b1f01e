"""A connection in plain words: words for everything, the right person, no names of ours."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.explanation import explain
from domain.outcomes import Outcome, Revocation
from domain.status import ConnectionStatus, StatusReason
from domain.view import Attempt, ConnectionView, Receipt, TokenReceipt, Trouble
from domain.words import CAUSE, WHO, WHY, Actor, instant

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
S, R, O = ConnectionStatus, StatusReason, Outcome  # noqa: E741 -- as the others
MOMENTS = st.sampled_from([NOW - DAY, NOW, NOW + HOUR, NOW + 90 * DAY])
MAYBE = st.one_of(st.none(), MOMENTS)
TOKENS = ["refresh_token", "access_token", "orphaned refresh_token", "lost answer"]
RECEIPTS = st.builds(
    Receipt,
    connection_id=st.uuids(),
    tokens=st.lists(
        st.builds(
            TokenReceipt,
            token=st.sampled_from(TOKENS),
            result=st.sampled_from(Revocation),
            dies_at=MAYBE,
        ),
        max_size=3,
    ).map(tuple),
    shredded=st.booleans(),
)
VIEWS = st.builds(
    ConnectionView,
    status=st.sampled_from(S),
    reason=st.sampled_from(R),
    since=MOMENTS,
    ending=st.booleans(),
    generation=st.integers(0, 3),
    expires_at=MAYBE,
    refresh_at=MAYBE,
    reauthorize_by=MAYBE,
    alias=st.none(),
    trouble=st.one_of(
        st.none(),
        st.builds(
            Trouble,
            since=MOMENTS,
            cause=st.sampled_from(O),
            failures=st.integers(1, 3),
            retry_at=MAYBE,
        ),
    ),
    attempt=st.one_of(
        st.none(),
        st.builds(
            Attempt,
            status=st.sampled_from(["pending", "parked", "exchanging", "failed"]),
            reason=st.one_of(st.none(), st.sampled_from(R)),
            expires_at=MOMENTS,
        ),
    ),
    receipt=st.one_of(st.none(), RECEIPTS),
    created_at=st.just(NOW),
    updated_at=st.just(NOW),
)


def view(status: ConnectionStatus = S.ACTIVE, **changes: Any) -> ConnectionView:
    usual: dict[str, Any] = {
        "connection_id": uuid4(),
        "user_id": uuid4(),
        "provider_slug": "schwab",
        "alias": None,
        "status": status,
        "reason": R.AUTHORIZED,
        "since": NOW - DAY,
        "ending": False,
        "generation": 4,
        "expires_at": NOW + HOUR,
        "refresh_at": NOW + HOUR / 2,
        "reauthorize_by": None,
        "trouble": None,
        "attempt": None,
        "receipt": None,
        "connected_at": NOW - DAY,
        "created_at": NOW - DAY,
        "updated_at": NOW,
    }
    return ConnectionView(**{**usual, **changes})


def trouble(cause: Outcome, failures: int = 2) -> Trouble:
    return Trouble(since=NOW - HOUR, cause=cause, failures=failures, retry_at=NOW + HOUR)


def attempt(status: str = "pending", reason: StatusReason | None = None) -> Attempt:
    return Attempt(attempt_id=uuid4(), status=status, reason=reason, expires_at=NOW + HOUR)


@given(VIEWS)
def test_whatever_a_connection_is_there_are_words_for_it(shown: ConnectionView) -> None:
    explained = explain(shown, NOW)
    lines = explained.text.splitlines()
    assert lines[0].startswith(shown.status.value.upper())
    assert lines[-1] == WHO[explained.who_must_act]
    assert explained.since == shown.since
    assert all(line.endswith((".", ")")) for line in lines)
    assert explained.model_validate_json(explained.model_dump_json()) == explained


@given(VIEWS)
def test_no_name_of_ours_stands_in_what_people_read(shown: ConnectionView) -> None:
    text = explain(shown, NOW).text.replace("(lost_rotation)", "")
    assert not re.search(r"\w_\w|[A-Z]\w+\.[A-Z]|\bNone\b|UUID|<", text), text
    assert str(shown.connection_id) not in text
    assert str(shown.user_id) not in text


def test_every_reason_outcome_and_actor_has_words() -> None:
    assert set(WHY) == set(StatusReason)
    assert set(CAUSE) == set(Outcome)
    assert set(WHO) == set(Actor)
    assert all(words.strip() for words in (*WHY.values(), *CAUSE.values(), *WHO.values()))


@pytest.mark.parametrize("status", [S.EXPIRED, S.REVOKED, S.FAILED])
def test_only_the_user_brings_back_what_lapsed(status: ConnectionStatus) -> None:
    explained = explain(view(status, reason=R.GRANT_EXPIRED), NOW)
    assert explained.who_must_act is Actor.USER
    assert "authorizes again" in explained.next


def test_a_healthy_connection_asks_nothing_of_anyone() -> None:
    explained = explain(view(), NOW)
    assert (explained.who_must_act, explained.next_at) == (Actor.NOBODY, NOW + HOUR / 2)
    assert "access token 4 ends 2026-11-21 13:00:00 UTC" in explained.next
    assert explained.tried == ()


@pytest.mark.parametrize(
    ("cause", "who"),
    [
        (O.TRANSIENT, Actor.PROVIDER),
        (O.RATE_LIMITED, Actor.PROVIDER),
        (O.AMBIGUOUS, Actor.PROVIDER),
        (O.PROTOCOL_ERROR, Actor.PROVIDER),
        (O.APP_MISCONFIGURED, Actor.OPERATOR),
        (O.STORAGE_FAULT, Actor.OPERATOR),
        (O.ROLLED_BACK, Actor.OPERATOR),
        (O.UNAVAILABLE, Actor.OPERATOR),
        (O.GRANT_DEAD, Actor.USER),
        (O.ACCESS_REVOKED, Actor.USER),
        (O.REFRESHED, Actor.NOBODY),
    ],
)
def test_who_mends_a_trouble_depends_on_its_cause(cause: Outcome, who: Actor) -> None:
    explained = explain(view(trouble=trouble(cause)), NOW)
    assert explained.who_must_act is who
    assert explained.next_at == NOW + HOUR
    assert "failed 2 times" in explained.tried[0]


def test_a_trouble_says_whether_the_token_still_works() -> None:
    assert "still works" in explain(view(trouble=trouble(O.TRANSIENT, 1)), NOW).next
    over = explain(view(trouble=trouble(O.TRANSIENT), expires_at=NOW - HOUR), NOW)
    assert "no token can be handed out" in over.next
    assert "failed once" in explain(view(trouble=trouble(O.TRANSIENT, 1)), NOW).tried[0]


def test_what_cannot_be_refreshed_is_the_users_to_renew() -> None:
    explained = explain(view(refresh_at=None), NOW)
    assert (explained.who_must_act, explained.next_at) == (Actor.USER, NOW + HOUR)
    endless = explain(view(refresh_at=None, expires_at=None), NOW)
    assert endless.who_must_act is Actor.NOBODY


def test_bug_a_known_end_of_the_grant_was_not_mentioned() -> None:
    explained = explain(view(reauthorize_by=NOW + 7 * DAY), NOW)
    assert "must authorize again by 2026-11-28 12:00:00 UTC" in explained.next
    assert (explained.who_must_act, explained.next_at) == (Actor.NOBODY, NOW + HOUR / 2)
    soon = explain(view(reauthorize_by=NOW + HOUR / 4), NOW)
    assert (soon.who_must_act, soon.next_at) == (Actor.USER, NOW + HOUR / 4)


def test_pending_waits_for_the_user() -> None:
    nothing = explain(view(S.PENDING, reason=R.AUTHORIZATION_STARTED), NOW)
    begun = explain(view(S.PENDING, reason=R.AUTHORIZATION_STARTED, attempt=attempt()), NOW)
    failed = attempt("failed", R.AUTHORIZATION_TIMEOUT)
    again = explain(view(S.PENDING, reason=R.AUTHORIZATION_STARTED, attempt=failed), NOW)
    assert {each.who_must_act for each in (begun, again)} == {Actor.USER}
    assert nothing.who_must_act is Actor.OPERATOR  # whose application has asked nobody yet
    assert "until 2026-11-21 13:00:00 UTC" in begun.next
    assert "the time to authorize ran out" in again.next


def test_bug_the_user_was_sent_to_mend_the_operators_client_secret() -> None:
    failed = attempt("failed", R.APP_MISCONFIGURED)
    explained = explain(view(S.PENDING, reason=R.AUTHORIZATION_STARTED, attempt=failed), NOW)
    assert explained.who_must_act is Actor.OPERATOR


@pytest.mark.parametrize("status", ["parked", "exchanging"])
def test_bug_the_user_was_asked_again_while_the_code_was_being_exchanged(status: str) -> None:
    shown = view(S.PENDING, reason=R.AUTHORIZATION_STARTED, attempt=attempt(status))
    assert explain(shown, NOW).who_must_act is Actor.NOBODY


@pytest.mark.parametrize("status", S)
def test_an_ending_connection_ends_by_itself(status: ConnectionStatus) -> None:
    explained = explain(view(status, ending=True), NOW)
    assert explained.who_must_act is Actor.NOBODY
    assert "revoked at the provider" in explained.next


def test_a_finished_connection_shows_its_receipt() -> None:
    tokens = (
        TokenReceipt(token="refresh_token", result=Revocation.REVOKED),
        TokenReceipt(token="access_token", result=Revocation.UNSUPPORTED, dies_at=NOW),
    )
    receipt = Receipt(connection_id=uuid4(), tokens=tokens, shredded=True)
    explained = explain(view(S.DISCONNECTED, reason=R.USER_DISCONNECTED, receipt=receipt), NOW)
    assert explained.who_must_act is Actor.NOBODY
    (line,) = explained.tried
    assert "refresh token: revoked" in line
    assert "access token: the provider cannot revoke it, it dies by itself 2026-11-21" in line
    assert "all secrets are destroyed" in line


def test_instants_are_written_in_utc() -> None:
    from_elsewhere = datetime.fromisoformat("2026-11-21T20:30:00+08:00")
    assert instant(from_elsewhere) == "2026-11-21 12:30:00 UTC"
