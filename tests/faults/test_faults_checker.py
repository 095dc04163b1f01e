"""The checker of the campaign convicts: each invariant is broken in turn, in plain data."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from campaign.apps import BROKER, BY_SLUG
from campaign.checker import judge, losses
from campaign.diary import Happened, Leased
from campaign.evidence import Call, Claim, Evidence, Life
from campaign.gathering import CANARY, forms, search
from campaign.measures import CALM, Kept, kept_in_time, recoveries
from storage import events
from storage.tables import EventRow

ID = uuid4()
GRACE, STRICT = "campaign-grace", "campaign-strict"
ATTEMPTED, SUCCEEDED = "ProviderTokenRefreshAttempted", "ProviderTokenRefreshSucceeded"
ASKED_TO_END, ENDED = "ProviderDisconnectionAttempted", "ProviderDisconnectionSucceeded"


def told(*types: str, connection_id: UUID = ID) -> list[EventRow]:
    """Events of these types, in a chain that is intact."""
    rows, chain = [], b""
    for number, name in enumerate(types, start=1):
        row = EventRow(
            event_id=uuid4(),
            connection_id=connection_id,
            user_id=uuid4(),
            cause=f"cause-{number}",
            type=name,
            occurred_at=datetime.fromtimestamp(number, UTC),
            data={},
            seq=number,
        )
        chain = row.chain = events._link(chain, row)
        rows.append(row)
    return rows


def a_life(rows: Sequence[EventRow], **changes: object) -> Life:
    """An ACTIVE connection where there is grace, and nothing is wrong with it."""
    life = Life(
        connection_id=ID,
        slug=GRACE,
        rotation="grace",
        status="active",
        reason="authorized",
        ended_at=None,
        generation=2,
        head=rows[-1].chain or b"",
    )
    return replace(life, **changes)  # type: ignore[arg-type]


def a_call(seq: int, at: float, **changes: object) -> Call:
    """A refresh that the provider answered within a second."""
    call = Call(
        seq=seq,
        connection_id=ID,
        endpoint="token",
        grant_type="refresh_token",
        started_at=at,
        finished_at=at + 1,
        presented="current",
        rotated=True,
    )
    return replace(call, **changes)  # type: ignore[arg-type]


def a_claim(number: int, at: float, **changes: object) -> Claim:
    """A claim under which a token was stored."""
    claim = Claim(
        connection_id=ID,
        number=number,
        generation=number,
        kind="refresh",
        claimed_at=at,
        finished_at=at + 2,
        outcome="stored",
    )
    return replace(claim, **changes)  # type: ignore[arg-type]


def good() -> Evidence:
    """A connection that was refreshed twice, and one that has ended."""
    other = uuid4()
    rows = told(ATTEMPTED, SUCCEEDED, ATTEMPTED, SUCCEEDED)
    ended = told(ASKED_TO_END, ENDED, connection_id=other)
    gone = a_life(
        ended,
        connection_id=other,
        slug=BROKER,
        status="disconnected",
        reason="user_disconnected",
        ended_at=50.0,
        end_acked_at=51.0,
    )
    return Evidence(
        calls=[a_call(1, 10.0), a_call(2, 20.0)],
        claims=[a_claim(1, 9.9), a_claim(2, 19.9)],
        lives=[a_life(rows), gone],
        events={ID: rows, other: ended},
        leases=[Leased(ID, 25.0, generation=2), Leased(other, 40.0)],
        searched=1,
    )


def broken(evidence: Evidence) -> set[int]:
    return {verdict.number for verdict in judge(evidence) if not verdict.holds}


def with_life(**changes: object) -> Evidence:
    """The good evidence, with a change to the ACTIVE connection."""
    evidence = good()
    first, *others = evidence.lives
    return replace(evidence, lives=[replace(first, **changes), *others])  # type: ignore[arg-type]


def with_end(**changes: object) -> Evidence:
    """The good evidence, with a change to the one that has ended."""
    evidence = good()
    first, last = evidence.lives
    return replace(evidence, lives=[first, replace(last, **changes)])  # type: ignore[arg-type]


def test_where_nothing_is_wrong_nothing_is_convicted() -> None:
    assert broken(good()) == set()


def test_1_an_active_connection_that_cannot_be_refreshed() -> None:
    assert broken(with_life(refreshed="NotFresh: no")) == {1}


def test_1_where_nothing_is_left_to_be_refreshed_nothing_is_proved() -> None:
    assert 1 in broken(with_life(status="failed"))


def test_2_two_calls_at_once() -> None:
    evidence = good()
    calls = [a_call(1, 10.0, finished_at=20.5), a_call(2, 20.0)]
    assert broken(replace(evidence, calls=calls)) == {2}


def test_2_two_calls_at_once_of_which_the_later_was_cut() -> None:
    calls = [a_call(1, 10.0, finished_at=20.5), a_call(2, 20.0, answered=False)]
    assert broken(replace(good(), calls=calls)) == {2}


def test_2_a_call_that_runs_over_many_others() -> None:
    calls = [a_call(1, 1.0, finished_at=30.0), a_call(2, 10.0, answered=False), a_call(3, 20.0)]
    assert 2 in broken(replace(good(), calls=calls))


def test_2_not_a_call_whose_caller_is_gone() -> None:
    calls = [a_call(1, 10.0, finished_at=20.5, answered=False), a_call(2, 20.0)]
    assert broken(replace(good(), calls=calls)) == set()


@pytest.mark.parametrize("presented", ["rotated_out", "previous_in_grace"])
def test_3_a_used_token_is_presented_though_no_answer_was_lost(presented: str) -> None:
    calls = [a_call(1, 10.0), a_call(2, 20.0, presented=presented)]
    assert broken(replace(good(), calls=calls)) == {3}


def test_3_not_where_the_journal_holds_an_ambiguous_call_of_the_same_generation() -> None:
    calls = [a_call(1, 10.0, answered=False), a_call(2, 20.0, presented="previous_in_grace")]
    assert broken(replace(ambiguous(None), calls=calls)) == set()
    # One that is known to have done nothing does not count.
    assert 3 in broken(replace(ambiguous("transient"), calls=calls))


def test_3_not_under_an_ambiguous_call_of_another_generation() -> None:
    calls = [a_call(1, 10.0, answered=False), a_call(2, 20.0, presented="previous_in_grace")]
    claims = [a_claim(1, 9.9, outcome=None), a_claim(2, 19.9)]
    assert 3 in broken(replace(ambiguous(None), calls=calls, claims=claims))


def test_3_a_code_is_presented_twice() -> None:
    code = a_call(3, 30.0, grant_type="authorization_code", presented="code_replayed")
    evidence = good()
    assert broken(replace(evidence, calls=[*evidence.calls, code])) == {3}


def ambiguous(outcome: str | None, **changes: object) -> Evidence:
    """The first refresh came to no answer, the second presented the same token."""
    rows = told(ATTEMPTED, ATTEMPTED, SUCCEEDED)
    evidence = good()
    first, *others = evidence.lives
    life = replace(first, head=rows[-1].chain or b"", **changes)  # type: ignore[arg-type]
    claims = [a_claim(1, 9.9, outcome=outcome), a_claim(2, 19.9, generation=1)]
    return replace(
        evidence, claims=claims, lives=[life, *others], events={**evidence.events, ID: rows}
    )


@pytest.mark.parametrize("status", ["expired", "revoked"])
def test_4_a_user_is_needed_though_the_provider_refused_nothing(status: str) -> None:
    assert broken(with_life(status=status, reason="grant_expired")) == {1, 4}


def test_4_a_revocation_that_nobody_asked_for() -> None:
    assert 4 in broken(with_life(status="revoked", reason="user_revoked"))
    assert 4 not in broken(with_life(status="revoked", reason="user_revoked", revoke_asked=True))


def test_4_a_broker_that_refused_no_key_needs_nobody() -> None:
    assert 4 in broken(with_life(slug=BROKER, rotation="key", status="expired"))


def lost(rotation: str, *faults: Happened) -> Evidence:
    """A provider rotated under the first claim, and refused the same token under the second."""
    rows = told(ATTEMPTED, ATTEMPTED)
    evidence = good()
    life = a_life(rows, slug=STRICT, rotation=rotation, status="expired", reason="lost_rotation")
    refused = a_call(2, 20.0, presented="rotated_out", rotated=False, error="invalid_grant")
    return replace(
        evidence,
        calls=[a_call(1, 10.0, answered=False), refused],
        claims=[
            a_claim(1, 9.9, outcome="ambiguous", may_have_acted=True),
            a_claim(2, 19.9, generation=1, outcome="grant_dead"),
        ],
        lives=[life, *evidence.lives[1:]],
        events={**evidence.events, ID: rows},
        faults=faults,
    )


def at(kind: str, target: str, began: float = 9.0, ended: float = 11.0) -> Happened:
    return Happened(kind, target, began, ended)


@pytest.mark.parametrize(
    "faults",
    [
        [at("kill", "worker-1")],
        [at("freeze", "worker-2")],
        [at("kill between rotation and commit", "workers")],
        [at("black_hole", "worker-provider")],
        [at("provider", STRICT)],
        [at("kill", "postgres"), at("kill", "temporal")],
        [at("refuse", "worker-postgres"), at("black_hole", "worker-1-temporal")],
    ],
)
def test_4_a_rotation_may_be_lost_where_its_answer_could_be(faults: list[Happened]) -> None:
    evidence = lost("strict", *faults)
    assert 4 not in broken(evidence)
    assert [claim.number for claim in losses(evidence)] == [1]
    # Never where there is grace.
    assert 4 in broken(lost("grace", *faults))


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [at("kill", "postgres")],
        [at("kill", "temporal")],
        [at("refuse", "worker-postgres"), at("kill", "postgres")],
        [at("rolling restart", "workers")],
        [at("rotate keys", "keys")],
        [at("kill", "gateway")],
        [at("black_hole", "client-temporal"), at("black_hole", "client-postgres")],
        [at("kill", "worker-1", 40.0, 50.0)],
        [at("kill", "worker-1", 1.0, 2.0)],
    ],
)
def test_4_a_rotation_is_lost_without_need(faults: list[Happened]) -> None:
    assert 4 in broken(lost("strict", *faults))


def test_5_a_lease_after_the_end() -> None:
    evidence = good()
    late = Leased(evidence.lives[1].connection_id, 51.1)
    assert broken(replace(evidence, leases=[*evidence.leases, late])) == {5}


def test_5_a_token_call_after_the_end() -> None:
    evidence = good()
    gone = evidence.lives[1].connection_id
    late = a_call(3, 52.0, connection_id=gone)
    assert broken(replace(evidence, calls=[*evidence.calls, late])) == {5}
    # Revocations are what comes after the end.
    told_off = replace(late, endpoint="revoke")
    assert broken(replace(evidence, calls=[*evidence.calls, told_off])) == set()


@pytest.mark.parametrize(("claimed_at", "convicted"), [(49.9, set()), (50.1, {5}), (30.0, {5})])
def test_5_not_a_call_that_was_on_its_way(claimed_at: float, convicted: set[int]) -> None:
    evidence = good()
    gone = evidence.lives[1].connection_id
    late = a_call(3, 52.0, connection_id=gone)
    claim = a_claim(1, claimed_at, connection_id=gone, kind="authorization")
    evidence = replace(evidence, calls=[*evidence.calls, late], claims=[*evidence.claims, claim])
    assert broken(evidence) == convicted


def with_events(rows: list[EventRow], head: bytes | None = None) -> Evidence:
    evidence = good()
    first, *others = evidence.lives
    life = replace(first, head=head or rows[-1].chain or b"")
    return replace(evidence, lives=[life, *others], events={**evidence.events, ID: rows})


def spoiled_events() -> Iterator[tuple[str, Evidence]]:
    types = (ATTEMPTED, SUCCEEDED, ATTEMPTED, SUCCEEDED)
    rows = told(*types)
    yield "a gap", with_events([rows[0], *rows[2:]])
    rows = told(*types)
    yield "the last one is missing", with_events(rows[:-1], rows[-1].chain)
    rows = told(*types)
    rows[1].data = {"reason": "another"}
    yield "one was changed", with_events(rows)
    yield "one too many", with_events(told(*types, SUCCEEDED))
    yield "one too few", with_events(told(*types[:-1]))
    yield "an end that nobody asked for", with_events(told(*types, ENDED))
    yield "none at all", replace(good(), events={})


@pytest.mark.parametrize(
    "evidence", [pytest.param(evidence, id=name) for name, evidence in spoiled_events()]
)
def test_6_events_that_do_not_tell_what_happened(evidence: Evidence) -> None:
    assert broken(evidence) == {6}


def test_7_a_canary_in_a_file() -> None:
    assert broken(replace(good(), leaks=["logs/worker-1.log"])) == {7}


def test_7_where_nothing_was_searched_nothing_is_proved() -> None:
    assert broken(replace(good(), searched=0)) == {7}


@pytest.mark.parametrize(
    "place", ["postgres/base/1/2", "postgres/pg_wal/1", "temporal.db", "logs/a"]
)
@pytest.mark.parametrize("form", forms(CANARY))
def test_7_canaries_are_found_wherever_they_are(tmp_path: Path, place: str, form: bytes) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\x00" * 5000 + form + b"\xff" * 100)
    (tmp_path / "logs").mkdir(exist_ok=True)
    (tmp_path / "logs" / "other").write_text("nothing to be seen")
    leaks, searched = search(tmp_path)
    assert leaks == [place]
    assert searched > 5000


@pytest.mark.parametrize("before", range(4))
def test_7_a_canary_is_known_in_base64_wherever_it_begins(before: int) -> None:
    import base64

    text = base64.b64encode(b"x" * before + CANARY + b"-rt-abc")
    assert any(form in text for form in forms(CANARY))


def test_8_something_is_still_open() -> None:
    assert broken(with_life(settled="its claim is held")) == {8}


def test_9_a_caller_sees_a_surprise() -> None:
    assert broken(replace(good(), surprises=["lease: KeyError"])) == {9}


def test_9_a_secret_does_not_open() -> None:
    evidence = good()
    claims = [replace(evidence.claims[0], kind="authorization", outcome="storage_fault")]
    assert 9 in broken(replace(evidence, claims=[*claims, *evidence.claims]))


def test_10_something_lives_on_after_the_end() -> None:
    assert broken(with_end(granted=1)) == {10}


@pytest.mark.parametrize("asked_at", [29.9, 600.0])
def test_11_a_token_is_leased_that_has_ended(asked_at: float) -> None:
    leases = [Leased(ID, asked_at, generation=2)]
    assert broken(replace(good(), leases=leases)) == {11}


def test_11_a_token_is_leased_that_nobody_has_stored() -> None:
    assert broken(replace(good(), leases=[Leased(ID, 25.0, generation=7)])) == {11}


def early(**changes: object) -> Evidence:
    """The second refresh came after five seconds; it is due after seven and a half at least."""
    calls = [a_call(1, 10.0), a_call(2, 15.0)]
    return replace(with_life(**changes), calls=calls, claims=[a_claim(1, 9.9), a_claim(2, 14.9)])


def test_12_a_token_is_refreshed_early() -> None:
    assert broken(early()) == {12}
    assert broken(early(refreshes_asked=[15.1])) == {12}


def test_12_not_where_somebody_asked_for_it() -> None:
    assert broken(early(refreshes_asked=[14.5])) == set()
    assert broken(replace(early(), healed_at=14.0)) == set()  # then all are refreshed by force


def test_recovery_counts_from_the_kill_to_the_next_stored_token_of_what_was_cut() -> None:
    claims = [a_claim(1, 9.0, outcome=None), a_claim(2, 20.0, generation=1, finished_at=22.5)]
    kill = Happened("kill", "worker-1", 9.5, 12.0, killed_at=10.0)
    assert recoveries(replace(good(), claims=claims, faults=[kill])) == [12.5]
    assert (
        recoveries(replace(good(), claims=claims, faults=[replace(kill, target="gateway")])) == []
    )


def test_a_token_is_kept_in_time_if_the_next_is_stored_before_it_ends() -> None:
    # Tokens of twenty seconds: those asked for at 0 and 10 ended at 20 and 30.
    assert BY_SLUG[GRACE].access_ttl_s == 20
    claims = [
        a_claim(1, 0.0, finished_at=1.0),
        a_claim(2, 10.0, finished_at=11.0),
        a_claim(3, 28.0, finished_at=31.0),
    ]
    evidence = replace(good(), claims=claims, faults=[at("freeze", "worker-1", 21.0, 32.0)])
    assert kept_in_time(evidence) == {CALM: Kept(1, 1), "freeze": Kept(0, 1)}


def test_6_a_connection_whose_authorization_was_never_begun_has_no_events_yet() -> None:
    other = uuid4()
    pending = replace(
        good().lives[0], connection_id=other, status="pending", head=b"", generation=0
    )
    evidence = good()
    assert broken(replace(evidence, lives=[*evidence.lives, pending])) == set()
