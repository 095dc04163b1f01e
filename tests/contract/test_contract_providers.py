"""What any OAuth server must do with us and we with it: the same tests against all of them."""

import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from domain.deadlines import DeadlineSource
from domain.outcomes import Outcome, Revocation
from domain.secret import Secret
from domain.status import StatusReason
from providers.classifier import Answer
from providers.oauth2 import OAuth2, authorization_url, new_secret
from providers.redirects import Redirect, check_issuer, parse_redirect
from providers.token_answers import Tokens, is_bearer
from tests.contract.counterparts import REDIRECT_URI, Again, Counterpart

WITHIN = timedelta(seconds=10)
O = Outcome  # noqa: E741 -- as everywhere in these tests


class Grant:
    """Our side of one authorization at a counterpart."""

    def __init__(self, counterpart: Counterpart, client: httpx.AsyncClient) -> None:
        self.counterpart = counterpart
        self.provider = OAuth2(counterpart.entry, client)
        self.state, self.verifier = new_secret(), new_secret()

    async def decided(self, *, allow: bool = True, spoil: Callable[[str], str] = str) -> Redirect:
        url = authorization_url(
            self.counterpart.entry,
            redirect_uri=REDIRECT_URI,
            state=self.state,
            verifier=self.verifier,
        )
        return parse_redirect(await self.counterpart.decide(spoil(url), allow=allow))

    async def exchange(self, code: Secret | None, verifier: Secret | None = None) -> Answer:
        assert code is not None
        return await self.provider.exchange_code(
            code=code,
            verifier=verifier or self.verifier,
            redirect_uri=REDIRECT_URI,
            within=WITHIN,
        )

    async def authorized(self) -> Tokens:
        return tokens(await self.exchange((await self.decided()).code))

    async def refresh(self, refresh_token: Secret) -> Answer:
        return await self.provider.refresh(refresh_token, within=WITHIN)

    async def refreshed(self, held: Tokens) -> Tokens:
        return tokens(await self.refresh(refresh_token(held)))

    async def revoke(self, token: Secret, hint: str) -> Revocation | Answer:
        return await self.provider.revoke(token, hint, within=WITHIN)


def tokens(answer: Answer) -> Tokens:
    assert answer.tokens is not None, answer
    assert answer.outcome is O.REFRESHED
    return answer.tokens


def refresh_token(held: Tokens) -> Secret:
    assert held.refresh_token is not None
    return held.refresh_token


@pytest.fixture
def grant(counterpart: Counterpart, client: httpx.AsyncClient) -> Grant:
    return Grant(counterpart, client)


async def test_a_consent_comes_back_to_us_with_our_state(grant: Grant) -> None:
    redirect = await grant.decided()
    assert (redirect.state, redirect.address) == (grant.state, REDIRECT_URI)
    assert redirect.code is not None
    assert redirect.refusal is None
    check_issuer(redirect, grant.counterpart.entry.issuer, always_sent=False)


async def test_a_refusal_by_the_person_is_told_as_one(grant: Grant) -> None:
    redirect = await grant.decided(allow=False)
    assert (redirect.state, redirect.code) == (grant.state, None)
    assert redirect.refusal is StatusReason.AUTHORIZATION_DENIED


async def test_a_code_is_exchanged_for_tokens_that_say_how_long_they_live(grant: Grant) -> None:
    held = await grant.authorized()
    assert is_bearer(held.token_type)
    assert held.scope == "profile"
    assert held.refresh_token is not None
    assert held.refresh_token != held.access_token
    lives = held.known[DeadlineSource.RESPONSE].access_token
    assert lives == timedelta(hours=1)


async def test_a_stolen_code_is_worth_nothing_without_the_verifier(grant: Grant) -> None:
    code = (await grant.decided()).code
    assert (await grant.exchange(code, new_secret())).outcome is O.GRANT_DEAD


async def test_a_code_is_good_once(grant: Grant) -> None:
    code = (await grant.decided()).code
    assert (await grant.exchange(code)).outcome is O.REFRESHED
    assert (await grant.exchange(code)).outcome is O.GRANT_DEAD


async def test_an_invented_code_is_refused(grant: Grant) -> None:
    answer = await grant.exchange(Secret("of our own"))
    assert (answer.outcome, answer.code) == (O.GRANT_DEAD, "invalid_grant")


async def test_without_a_challenge_there_is_no_code(grant: Grant) -> None:
    redirect = await grant.decided(spoil=lambda url: re.sub(r"&code_challenge[^&]*", "", url))
    assert (redirect.code, redirect.refusal) == (None, StatusReason.AUTHORIZATION_REFUSED)


async def test_a_refresh_brings_new_tokens_again_and_again(grant: Grant) -> None:
    held = [await grant.authorized()]
    for _ in range(3):
        held.append(await grant.refreshed(held[-1]))
    assert len({each.access_token.reveal() for each in held}) == 4
    assert len({refresh_token(each).reveal() for each in held}) == 4


async def test_an_invented_refresh_token_is_refused(grant: Grant) -> None:
    answer = await grant.refresh(Secret("of our own"))
    assert (answer.outcome, answer.code) == (O.GRANT_DEAD, "invalid_grant")
    assert answer.may_have_acted is False


async def test_the_token_before_is_honoured_again_where_there_is_grace_and_else_fatal(
    grant: Grant,
) -> None:
    first = await grant.authorized()
    lost = await grant.refreshed(first)
    again = await grant.refresh(refresh_token(first))
    if grant.counterpart.again is Again.REFUSED:
        assert again.outcome is O.GRANT_DEAD
        assert (await grant.refresh(refresh_token(lost))).outcome is O.GRANT_DEAD
        return
    found = tokens(again)
    same = (found.access_token, found.refresh_token) == (lost.access_token, lost.refresh_token)
    assert same is (grant.counterpart.again is Again.SAME_PAIR)
    await grant.refreshed(found)


async def test_an_older_token_ends_the_grant_everywhere(grant: Grant) -> None:
    first = await grant.authorized()
    second = await grant.refreshed(first)
    third = await grant.refreshed(second)
    assert (await grant.refresh(refresh_token(first))).outcome is O.GRANT_DEAD
    assert (await grant.refresh(refresh_token(third))).outcome is O.GRANT_DEAD


async def test_a_revoked_refresh_token_is_dead_and_revoking_it_again_is_no_error(
    grant: Grant,
) -> None:
    held = await grant.authorized()
    for _ in range(2):
        done = await grant.revoke(refresh_token(held), "refresh_token")
        assert done is Revocation.REVOKED
    assert (await grant.refresh(refresh_token(held))).outcome is O.GRANT_DEAD


async def test_both_tokens_can_be_revoked_one_after_the_other(grant: Grant) -> None:
    held = await grant.refreshed(await grant.authorized())
    assert await grant.revoke(refresh_token(held), "refresh_token") is Revocation.REVOKED
    assert await grant.revoke(held.access_token, "access_token") is Revocation.REVOKED


async def test_revoking_an_unknown_token_or_with_the_wrong_hint_is_no_error(grant: Grant) -> None:
    assert await grant.revoke(Secret("of our own"), "access_token") is Revocation.REVOKED
    held = await grant.authorized()
    assert await grant.revoke(refresh_token(held), "access_token") is Revocation.REVOKED
    assert (await grant.refresh(refresh_token(held))).outcome is O.GRANT_DEAD


@pytest.mark.parametrize("manner", ["client_secret_basic", "client_secret_post"])
async def test_we_are_known_by_either_manner_of_proving_it(
    counterpart: Counterpart, client: httpx.AsyncClient, manner: str
) -> None:
    grant = Grant(counterpart, client)
    entry = counterpart.entry.model_copy(update={"client_authentication": manner})
    grant.provider = OAuth2(entry, client)
    held = await grant.refreshed(await grant.authorized())
    assert await grant.revoke(refresh_token(held), "refresh_token") is Revocation.REVOKED


@pytest.mark.parametrize("manner", ["client_secret_basic", "client_secret_post"])
async def test_a_wrong_secret_is_our_fault_and_ends_no_grant(
    counterpart: Counterpart, client: httpx.AsyncClient, manner: str
) -> None:
    grant = Grant(counterpart, client)
    held = await grant.authorized()
    wrong = {"client_secret": "mlcanary-wrong", "client_authentication": manner}
    provider = OAuth2(counterpart.entry.model_copy(update=wrong), client)
    answer = await provider.refresh(refresh_token(held), within=WITHIN)
    assert (answer.outcome, answer.code) == (O.APP_MISCONFIGURED, "invalid_client")
    refused = await provider.revoke(refresh_token(held), "refresh_token", within=WITHIN)
    assert isinstance(refused, Answer)
    assert refused.outcome is O.APP_MISCONFIGURED
    await grant.refreshed(held)


async def test_a_token_of_one_grant_says_nothing_about_another(
    counterpart: Counterpart, client: httpx.AsyncClient
) -> None:
    mine, theirs = Grant(counterpart, client), Grant(counterpart, client)
    ours, other = await mine.authorized(), await theirs.authorized()
    assert await mine.revoke(refresh_token(ours), "refresh_token") is Revocation.REVOKED
    await theirs.refreshed(other)
