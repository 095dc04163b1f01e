"""How vendors word their refusals, and what each is taken for: shipped entries, real transport."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from domain.outcomes import Outcome
from domain.secret import Secret
from providers.catalogue import Catalogue
from providers.classifier import Answer
from providers.entry import OAuth2Entry, Refusal
from providers.oauth2 import OAuth2
from providers.transport import new_http_client
from tests.scripted import Scripted, scripted

O = Outcome  # noqa: E741 -- short, for a wide table
FORM = "application/x-www-form-urlencoded"


def moved_to(url: str, entry: OAuth2Entry) -> OAuth2Entry:
    """A shipped entry, its endpoints and app replaced by those of a test."""
    return entry.model_copy(
        update={"token_url": f"{url}/token", "client_id": "app", "client_secret": "mlcanary"}
    )


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with scripted() as made:
        yield made


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with new_http_client() as made:
        yield made


async def refresh(client: httpx.AsyncClient, server: Scripted, entry: OAuth2Entry) -> Answer:
    provider = OAuth2(moved_to(server.url, entry), client)
    return await provider.refresh(Secret("mlcanary-rt"), within=timedelta(seconds=5))


@pytest.mark.parametrize(
    ("slug", "status", "body", "outcome"),
    [
        ("slack", 200, {"ok": False, "error": "invalid_refresh_token"}, O.GRANT_DEAD),
        ("slack", 200, {"ok": False, "error": "bad_client_secret"}, O.APP_MISCONFIGURED),
        ("slack", 200, {"ok": False, "error": "ratelimited"}, O.RATE_LIMITED),
        ("slack", 200, {"ok": False, "error": "internal_error"}, O.TRANSIENT),
        ("slack", 200, {"ok": False}, O.TRANSIENT),
        ("slack", 200, {"ok": True, "access_token": "at"}, O.REFRESHED),
        ("slack", 200, {"ok": True}, O.PROTOCOL_ERROR),
        ("slack", 200, {"ok": "false", "error": "invalid_refresh_token"}, O.PROTOCOL_ERROR),
        ("github-app", 200, {"error": "bad_refresh_token"}, O.GRANT_DEAD),
        ("github-app", 200, {"error": "incorrect_client_credentials"}, O.APP_MISCONFIGURED),
        ("github-app", 200, {"error": "of_the_future"}, O.PROTOCOL_ERROR),
        ("hubspot", 400, {"status": "BAD_REFRESH_TOKEN", "message": "no"}, O.GRANT_DEAD),
        ("hubspot", 400, {"status": "BAD_SOMETHING"}, O.TRANSIENT),
        ("zoho", 400, {"error": "Access Denied", "status": "failure"}, O.RATE_LIMITED),
        ("zoho", 200, {"error": "invalid_code"}, O.GRANT_DEAD),
        ("atlassian", 403, {"error": "invalid_grant"}, O.GRANT_DEAD),
        ("atlassian", 401, {"error": "access_denied"}, O.APP_MISCONFIGURED),
        ("atlassian", 403, {"error": "unauthorized_client"}, O.APP_MISCONFIGURED),
        (
            "atlassian",
            403,
            {"error": "unauthorized_client", "error_description": "refresh_token is invalid"},
            O.GRANT_DEAD,
        ),
        ("bitbucket", 401, {"error": "invalid_client"}, O.APP_MISCONFIGURED),
        ("microsoft", 400, {"error": "invalid_grant", "error_codes": [700082]}, O.GRANT_DEAD),
    ],
)
async def test_each_vendors_words_mean_what_its_entry_says(
    client: httpx.AsyncClient,
    server: Scripted,
    slug: str,
    status: int,
    body: dict[str, object],
    outcome: Outcome,
) -> None:
    server.answers(status, json.dumps(body))
    answer = await refresh(client, server, Catalogue.read().oauth2(slug))
    assert answer.outcome is outcome


async def test_github_without_json_says_it_in_a_form(
    client: httpx.AsyncClient, server: Scripted
) -> None:
    server.answers(200, "error=bad_refresh_token&error_description=no", {"content-type": FORM})
    answer = await refresh(client, server, Catalogue.read().oauth2("github-app"))
    assert answer.outcome is O.GRANT_DEAD


# Exact Online and OpenAI are no shipped entries (the first has a host per country); their words
# are the reason why a status alone decides nothing, and an own entry can hold them.
EXACT = Refusal(
    fields={"error": "unauthorized_client", "error_description": "Old refresh token used."},
    outcome=O.GRANT_DEAD,
)
OPENAI = Refusal(fields={"error": "refresh_token_reused"}, outcome=O.GRANT_DEAD)


@pytest.mark.parametrize(
    ("refusal", "outcome"), [(EXACT, O.GRANT_DEAD), (OPENAI, O.GRANT_DEAD)], ids=["exact", "openai"]
)
async def test_an_own_entry_can_say_what_a_401_means(
    client: httpx.AsyncClient, server: Scripted, refusal: Refusal, outcome: Outcome
) -> None:
    entry = Catalogue.read().oauth2("xero")
    server.answers(401, json.dumps(dict(refusal.fields)))
    plain = await refresh(client, server, entry)
    assert plain.outcome in (O.APP_MISCONFIGURED, O.TRANSIENT)
    told = await refresh(client, server, entry.model_copy(update={"refusals": (refusal,)}))
    assert told.outcome is outcome


async def test_tokens_go_before_any_wording(client: httpx.AsyncClient, server: Scripted) -> None:
    anything = Refusal(fields={"access_token": "at"}, outcome=O.GRANT_DEAD)
    entry = Catalogue.read().oauth2("xero").model_copy(update={"refusals": (anything,)})
    server.answers(200, '{"access_token": "at"}')
    assert (await refresh(client, server, entry)).outcome is O.REFRESHED
