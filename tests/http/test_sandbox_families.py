"""The rules of a token family without HTTP: exact moments, and any order of presentations."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.sandbox.behaviour import Behaviour
from providers.sandbox.clients import Client, Registration
from providers.sandbox.codes import Codes
from providers.sandbox.families import Families, Verdict
from providers.sandbox.grants import Grants
from providers.sandbox.sandbox import Sandbox

START = 1_000_000.0


@dataclass
class Family:
    """One client's family in a fresh sandbox, and the refresh tokens it has issued, in order."""

    families: Families
    codes: Codes
    grant_id: str
    tokens: list[str]

    @classmethod
    def begin(cls, behaviour: Behaviour) -> Family:
        sandbox = Sandbox.open(None, None)
        registration = Registration(redirect_uris=["http://127.0.0.1/"], behaviour=behaviour)
        sandbox.clients.register("app", registration)
        client = sandbox.clients.find("app")
        assert isinstance(client, Client)
        families = Families(sandbox.grants, client, START)
        grant_id, issued = families.begin("alice", "profile")
        return cls(families, sandbox.codes, grant_id, [issued.refresh_token or ""])

    def at(self, seconds: float) -> Families:
        return replace(self.families, now=START + seconds)

    def present(self, number: int, seconds: float = 0) -> Verdict:
        verdict = self.at(seconds).refresh(self.tokens[number], None)
        if verdict.issued is not None and verdict.issued.refresh_token is not None:
            self.tokens.append(verdict.issued.refresh_token)
        return verdict

    def grants(self) -> Grants:
        return self.families.grants

    @property
    def revoked_by(self) -> str | None:
        grant = self.grants().get(self.grant_id, START)
        return None if grant is None else grant.revoked_by


def test_the_grace_window_counts_from_the_first_use_and_is_not_extended() -> None:
    family = Family.begin(Behaviour(rotation="grace", grace_s=30))
    assert family.present(0, 100).presented == "current"
    assert family.present(0, 120).presented == "previous_in_grace"
    assert family.present(0, 130).presented == "previous_in_grace"
    assert family.present(0, 130.1).presented == "rotated_out"
    assert family.revoked_by == "reuse"


def test_an_idle_refresh_token_expires_and_using_one_starts_its_successor_anew() -> None:
    family = Family.begin(Behaviour(refresh_ttl_s=100))
    assert family.present(0, 99).presented == "current"
    assert family.present(1, 198).presented == "current"
    assert family.present(2, 298).presented == "expired"
    assert family.revoked_by is None


def test_without_rotation_each_use_starts_the_idle_time_anew() -> None:
    family = Family.begin(Behaviour(rotation="none", refresh_ttl_s=100))
    for moment in (99, 198, 297):
        assert family.present(0, moment).presented == "current"
    assert family.present(0, 397).presented == "expired"


def test_the_absolute_lifetime_counts_from_the_authorization() -> None:
    family = Family.begin(Behaviour(refresh_ttl_s=100, refresh_absolute_s=150))
    verdict = family.present(0, 90)
    assert verdict.issued is not None
    assert verdict.issued.refresh_expires_in == 60
    assert family.present(1, 150).presented == "expired"


def test_a_code_lives_sixty_seconds() -> None:
    family = Family.begin(Behaviour())
    code = family.codes.issue("app", "alice", "http://127.0.0.1/", "c" * 43, "profile", START)
    attempt = (code, "http://127.0.0.1/", "v" * 43)
    assert family.codes.exchange(family.at(59.9), *attempt).presented == "code"
    assert family.codes.exchange(family.at(60), *attempt).presented == "expired"


Presentations = st.lists(
    st.tuples(st.integers(0, 20), st.floats(0, 20, allow_nan=False)), max_size=25
)


@settings(max_examples=60, deadline=None)
@given(Presentations)
def test_under_strict_rotation_only_the_newest_token_ever_works(
    presentations: list[tuple[int, float]],
) -> None:
    family, now = Family.begin(Behaviour(rotation="strict")), 0.0
    for choice, step in presentations:
        now += step
        newest = len(family.tokens) - 1
        number = min(choice, newest)
        alive = family.revoked_by is None
        verdict = family.present(number, now)
        assert verdict.acted == (alive and number == newest)
        assert (family.revoked_by is None) == (alive and number == newest)


@settings(max_examples=60, deadline=None)
@given(Presentations)
def test_in_grace_nothing_older_than_the_preceding_token_ever_works(
    presentations: list[tuple[int, float]],
) -> None:
    family, now = Family.begin(Behaviour(rotation="grace", grace_s=30)), 0.0
    parents: dict[int, int | None] = {0: None}
    used_at: dict[int, float] = {}
    for choice, step in presentations:
        now += step
        number = min(choice, len(family.tokens) - 1)
        rivals = [each for each in used_at if parents[each] == parents[number] and each != number]
        heirs_used = any(parents[each] == number for each in used_at)
        in_time = number not in used_at or now - used_at[number] <= 30
        expected = family.revoked_by is None and not rivals and not heirs_used and in_time
        assert family.present(number, now).acted == expected
        if not expected:
            assert family.revoked_by == "reuse"
            return
        used_at.setdefault(number, now)
        parents[len(family.tokens) - 1] = number
