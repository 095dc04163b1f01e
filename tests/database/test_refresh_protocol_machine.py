"""The refresh protocol under any sequence of claims, lost answers, late-comers and ends.

PostgreSQL is real, and so is every statement; the processes are moves of a game, and the provider
is a family of tokens of which only the newest is good. Whatever is played: at most one holder is
in time, generations grow one by one, nobody commits under a claim that was taken over, nothing is
stored after the end, and no token that the provider gave out is lost without a trace.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, TypeVar
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from domain.status import ConnectionStatus
from storage import claims, events
from storage.claims import Claim, JournalEntry, NotClaimed, Purpose
from storage.credentials import Committed, Envelope
from tests.stored import Stored

T = TypeVar("T")


@dataclass
class Process:
    """One that holds, or held, a claim; what the provider has answered it, if it was asked."""

    claim: Claim
    in_time: bool = True
    answer: Envelope | None = None
    outcome: Committed | None = None


class Game(RuleBasedStateMachine):
    """One connection, any number of processes, one provider."""

    stored: ClassVar[Stored]
    loop: ClassVar[asyncio.AbstractEventLoop]

    def do(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    @initialize()
    def begin(self) -> None:
        self.connection_id: UUID = self.do(self.stored.active())
        self.processes: list[Process] = []
        self.generation, self.number, self.ended = 1, 1, False
        self.given = 1
        self.current = "mlcanary-at"
        self.kept: list[str] = []

    # -- moves ---------------------------------------------------------------------------------

    @rule(purpose=st.sampled_from([Purpose.REFRESH, Purpose.REVOCATION]))
    def take(self, purpose: Purpose) -> None:
        past = self.do(self.stored.take(self.connection_id, Purpose.REFRESH, self.generation - 1))
        assert past is (NotClaimed.ENDED if self.ended else NotClaimed.MOVED)
        taken = self.do(self.stored.take(self.connection_id, purpose))
        if self.ended and purpose is Purpose.REFRESH:
            assert taken is NotClaimed.ENDED
        elif any(process.in_time for process in self.processes):
            assert taken is NotClaimed.HELD
        else:
            assert isinstance(taken, Claim)
            assert (taken.number, taken.generation) == (self.number + 1, self.generation)
            self.number = taken.number
            self.processes.append(Process(taken))

    @precondition(lambda self: any(process.in_time for process in self.processes))
    @rule()
    def freeze(self) -> None:
        """The holder is stopped, and its lease runs out; what it holds it still believes in."""
        self.do(self.stored.lapse(self.connection_id))
        for process in self.processes:
            process.in_time = False

    @precondition(lambda self: not self.ended)
    @rule(overtakes=st.booleans())
    def exchange(self, overtakes: bool) -> None:
        """A process claims and sends; perhaps in the place of one that was frozen."""
        if overtakes and any(process.in_time for process in self.processes):
            self.freeze()
        self.take(Purpose.REFRESH)
        if any(self.may_send(process) for process in self.processes):
            self.send()

    @precondition(lambda self: any(self.may_send(process) for process in self.processes))
    @rule()
    def send(self) -> None:
        """The provider rotates: it answers with new tokens, and honours no others from now on."""
        process = next(each for each in self.processes if self.may_send(each))
        self.given += 1
        token = f"mlcanary-{self.given}"
        process.answer = self.do(self.stored.envelope(process.claim, access_token=token))
        self.current = token

    @property
    def is_answer_on_its_way(self) -> bool:
        return any(each.answer and each.outcome is None for each in self.processes)

    def may_send(self, process: Process) -> bool:
        refreshes = not self.ended and process.answer is None
        return process.in_time and refreshes and process.claim.generation == self.generation

    @precondition(lambda self: any(process.in_time for process in self.processes))
    @rule()
    def lose_the_answer(self) -> None:
        """It is known only that something was sent: journalled, and the claim given back."""
        process = next(each for each in self.processes if each.in_time)
        acted = process.answer is not None
        self.do(self.close(process.claim, JournalEntry("ambiguous", may_have_acted=acted)))
        self.processes.remove(process)

    @precondition(lambda self: any(process.answer for process in self.processes))
    @rule()
    def commit_again(self) -> None:
        self.commit(next(process for process in self.processes if process.answer))

    @precondition(lambda self: self.is_answer_on_its_way)
    @rule()
    def commit_the_newest(self) -> None:
        self.commit([each for each in self.processes if each.answer and each.outcome is None][-1])

    @precondition(lambda self: self.is_answer_on_its_way)
    @rule()
    def commit_late(self) -> None:
        self.commit(next(each for each in self.processes if each.answer and each.outcome is None))

    def commit(self, process: Process) -> None:
        """In time or late, for the first time or again."""
        assert process.answer is not None
        wins = (
            process.claim.number == self.number
            and process.claim.generation == self.generation
            and not self.ended
        )
        expected = process.outcome or (Committed.STORED if wins else Committed.ORPHANED)
        assert self.do(self.stored.commit(process.answer)) is expected
        if process.outcome is None and expected is Committed.STORED:
            self.generation += 1
        if process.outcome is None and expected is Committed.ORPHANED:
            self.kept.append(process.answer.sealed.hex())
        if process.claim.number == self.number:
            process.in_time = False
        process.outcome = expected

    @rule()
    def renew(self) -> None:
        """Only the holder of the newest claim, and only while it has not given it back."""
        for process in self.processes:
            held = process.claim.number == self.number and process.outcome is None
            assert self.do(claims.renew(self.stored.database, process.claim)) is held
            process.in_time = process.in_time or held

    @precondition(lambda self: self.is_answer_on_its_way and self.number > 3)
    @rule()
    def end(self) -> None:
        self.do(self.stored.end(self.connection_id))
        self.ended = True

    # -- what always holds ---------------------------------------------------------------------

    @invariant()
    def at_most_one_is_in_time(self) -> None:
        holders = [process for process in self.processes if process.in_time]
        assert len(holders) <= 1
        row = self.do(self.stored.credentials(self.connection_id))
        assert (row.claim, row.generation) == (self.number, self.generation)

    @invariant()
    def what_is_stored_opens_and_nothing_is_lost_without_a_trace(self) -> None:
        secret = self.do(self.stored.secret(self.connection_id))
        late = self.do(self.stored.orphans(self.connection_id))
        assert sorted(orphan.sealed.hex() for orphan in late) == sorted(self.kept)
        is_stored = self.current == secret["access_token"].reveal()
        newest_is_safe = is_stored or self.is_answer_on_its_way or bool(late)
        assert newest_is_safe or self.do(self.is_journalled())

    @invariant()
    def events_are_whole(self) -> None:
        rows = self.do(self.stored.events(self.connection_id))
        connection = self.do(self.stored.connection(self.connection_id))
        assert events.is_intact(rows, connection.event_chain)
        assert connection.status == ConnectionStatus.ACTIVE

    async def close(self, claim: Claim, entry: JournalEntry) -> bool:
        async with self.stored.database.transaction() as session:
            return await claims.close(session, claim, entry)

    async def is_journalled(self) -> bool:
        """Whether an answer may have been lost of the generation there is, or of one before it."""
        journal = await self.stored.journal(self.connection_id)
        return any(row.outcome is None or row.may_have_acted for row in journal)


async def test_the_protocol_holds_whatever_is_played(alone: Stored) -> None:
    Game.stored, Game.loop = alone, asyncio.get_running_loop()
    played = settings(
        max_examples=15,
        stateful_step_count=20,
        deadline=timedelta(minutes=1),
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, Game, settings=played)
