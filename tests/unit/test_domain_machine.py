"""A connection under any sequence of operations: what always holds, whatever happened to it."""

from copy import copy
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.connection import ProviderConnection
from domain.credentials import CredentialType, ProviderCredentials
from domain.errors import ProviderConnectionError as Error
from domain.result import Failure, Result, Success
from domain.status import ConnectionStatus, may_become

S = ConnectionStatus
START = datetime(2026, 1, 1, tzinfo=UTC)
CREDENTIALS = st.one_of(
    st.none(),
    st.builds(
        ProviderCredentials,
        encrypted_data=st.binary(min_size=1, max_size=4),
        credential_type=st.sampled_from(CredentialType),
        expires_at=st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))),
    ),
)


class Connection(RuleBasedStateMachine):
    """One connection, and what a bystander remembers of it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = START
        self.first_connected_at: datetime | None = None
        self.seen = [S.PENDING]

    @initialize()
    def begin(self) -> None:
        one = uuid4()
        self.subject = ProviderConnection(
            one, one, one, "schwab", S.PENDING, created_at=START, updated_at=START
        )

    def expect(self, result: Result[None, str], allowed: bool, refusal: str | None) -> None:
        if allowed:
            assert result == Success(value=None)
            assert self.subject.updated_at == self.clock
            if self.subject.status is not self.seen[-1]:
                self.seen.append(self.subject.status)
        else:
            assert result == Failure(error=refusal)
            assert self.subject == self.before

    def tick(self) -> datetime:
        self.before = copy(self.subject)
        self.clock += timedelta(seconds=1)
        return self.clock

    @rule(credentials=CREDENTIALS)
    def connect(self, credentials: ProviderCredentials | None) -> None:
        result = self.subject.mark_connected(credentials, at=self.tick())
        allowed = may_become(self.before.status, S.ACTIVE) and credentials is not None
        missing = credentials is None
        refusal = Error.CREDENTIALS_REQUIRED if missing else Error.CANNOT_TRANSITION_TO_ACTIVE
        self.expect(result, allowed, refusal)
        if allowed:
            self.first_connected_at = self.first_connected_at or self.clock
            assert self.subject.credentials is credentials

    @rule(credentials=CREDENTIALS)
    def update(self, credentials: ProviderCredentials | None) -> None:
        result = self.subject.update_credentials(credentials, at=self.tick())
        allowed = self.before.status is S.ACTIVE and credentials is not None
        refusal = Error.CREDENTIALS_REQUIRED if credentials is None else Error.NOT_CONNECTED
        self.expect(result, allowed, refusal)
        if allowed:
            assert self.subject.credentials is credentials

    @rule()
    def fail(self) -> None:
        result = self.subject.mark_failed(at=self.tick())
        self.expect(result, self.before.status is S.PENDING, Error.CANNOT_TRANSITION_TO_FAILED)

    @rule()
    def expire(self) -> None:
        result = self.subject.mark_expired(at=self.tick())
        self.expect(result, self.before.status is S.ACTIVE, Error.CANNOT_TRANSITION_TO_EXPIRED)

    @rule()
    def revoke(self) -> None:
        result = self.subject.mark_revoked(at=self.tick())
        self.expect(result, self.before.status is S.ACTIVE, Error.CANNOT_TRANSITION_TO_REVOKED)

    @rule()
    def sync(self) -> None:
        result = self.subject.record_sync(at=self.tick())
        self.expect(result, self.before.status is S.ACTIVE, Error.NOT_CONNECTED)

    @precondition(lambda self: len(self.seen) > 3)
    @rule()
    def disconnect(self) -> None:
        result = self.subject.mark_disconnected(at=self.tick())
        self.expect(result, True, None)
        assert self.subject.credentials is None

    @invariant()
    def an_active_connection_has_credentials(self) -> None:
        assert self.subject.is_connected() == (self.subject.status is S.ACTIVE)

    @invariant()
    def a_disconnected_one_has_none_and_stays(self) -> None:
        if S.DISCONNECTED in self.seen:
            assert self.subject.status is S.DISCONNECTED
            assert self.subject.credentials is None

    @invariant()
    def only_steps_of_the_table_were_taken(self) -> None:
        assert all(may_become(now, then) for now, then in pairwise(self.seen))
        assert S.PENDING not in self.seen[1:]

    @invariant()
    def connected_at_is_the_first_time_for_ever(self) -> None:
        assert self.subject.connected_at == self.first_connected_at

    @invariant()
    def the_connection_could_be_made_anew_from_its_fields(self) -> None:
        assert ProviderConnection(**vars(self.subject)) == self.subject


TestAnySequenceOfOperations = Connection.TestCase
TestAnySequenceOfOperations.settings = settings(max_examples=100, stateful_step_count=30)
