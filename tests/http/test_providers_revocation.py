"""Revoking at the provider: what counts as done, what never can be, what is to be tried again."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from pydantic import JsonValue

from domain.outcomes import Outcome, Revocation
from domain.secret import Secret
from providers.classifier import Answer
from providers.entry import OAuth2Entry
from providers.oauth2 import OAuth2
from providers.transport import new_http_client
from tests.scripted import Scripted, refusing, scripted

O, R = Outcome, Revocation  # noqa: E741 -- short, for a wide table
TOKEN = Secret("mlcanary-rt +/=&")
WITHIN = timedelta(seconds=5)
SLACK: JsonValue = [
    {"fields": {"ok": False, "error": "token_revoked"}, "outcome": "grant_dead"},
    {"fields": {"ok": False, "error": "invalid_auth"}, "outcome": "access_revoked"},
    {"fields": {"ok": False}, "outcome": "transient"},
]


def entry(url: str, **changes: JsonValue) -> OAuth2Entry:
    usual: dict[str, JsonValue] = {
        "slug": "example",
        "name": "Example",
        "type": "oauth2",
        "authorize_url": f"{url}/authorize",
        "token_url": f"{url}/token",
        "revoke_url": f"{url}/revoke",
        "client_id": "app",
        "client_secret": "mlcanary-secret",
    }
    return OAuth2Entry.model_validate({**usual, **changes})


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with new_http_client() as made:
        yield made


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with scripted() as made:
        yield made


async def test_the_request_is_that_of_rfc_7009(client: httpx.AsyncClient, server: Scripted) -> None:
    provider = OAuth2(entry(server.url), client)
    assert await provider.revoke(TOKEN, "refresh_token", within=WITHIN) is R.REVOKED
    (request,) = server.requests
    assert request.head.startswith("POST /revoke HTTP/1.1\r\n")
    assert request.form == {"token": TOKEN.reveal(), "token_type_hint": "refresh_token"}
    assert request.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (200, "", R.REVOKED),
        (204, "", R.REVOKED),
        (200, "<p>ok</p>", R.REVOKED),
        (200, {"ok": True}, R.REVOKED),
        (400, {"error": "invalid_grant"}, R.REVOKED),
        (400, {"error": "invalid_token"}, R.REVOKED),
        (404, "Not Found", R.UNSUPPORTED),
        (405, "", R.UNSUPPORTED),
        (501, "", R.UNSUPPORTED),
        (400, {"error": "unsupported_token_type"}, R.UNSUPPORTED),
        (401, {"error": "invalid_client"}, O.APP_MISCONFIGURED),
        (400, {"error": "unauthorized_client"}, O.APP_MISCONFIGURED),
        (400, {"error": "invalid_request"}, O.APP_MISCONFIGURED),
        (307, "", O.APP_MISCONFIGURED),
        (400, {"message": "no"}, O.TRANSIENT),
        (401, {"error": "invalid_token"}, O.TRANSIENT),
        (403, "<p>blocked</p>", O.TRANSIENT),
        (429, "", O.RATE_LIMITED),
        (500, "", O.TRANSIENT),
        (503, "", O.TRANSIENT),
    ],
)
async def test_every_answer_is_done_or_impossible_or_to_be_tried_again(
    client: httpx.AsyncClient,
    server: Scripted,
    status: int,
    body: object,
    result: Revocation | Outcome,
) -> None:
    server.answers(status, body if isinstance(body, str) else json.dumps(body))
    found = await OAuth2(entry(server.url), client).revoke(TOKEN, "access_token", within=WITHIN)
    assert (found.outcome if isinstance(found, Answer) else found) is result


async def test_a_server_that_is_busy_says_when_to_come_back(
    client: httpx.AsyncClient, server: Scripted
) -> None:
    server.answers(503, "", {"retry-after": "120"})
    found = await OAuth2(entry(server.url), client).revoke(TOKEN, "access_token", within=WITHIN)
    assert isinstance(found, Answer)
    assert found.retry_after == timedelta(minutes=2)


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ({"ok": True, "revoked": True}, R.REVOKED),
        ({"ok": False, "error": "token_revoked"}, R.REVOKED),
        ({"ok": False, "error": "invalid_auth"}, R.REVOKED),
        ({"ok": False, "error": "internal_error"}, O.TRANSIENT),
    ],
)
async def test_bug_a_refusal_with_status_200_was_taken_for_a_revocation(
    client: httpx.AsyncClient, server: Scripted, body: object, result: Revocation | Outcome
) -> None:
    server.answers(200, json.dumps(body))
    provider = OAuth2(entry(server.url, refusals=SLACK), client)
    found = await provider.revoke(TOKEN, "access_token", within=WITHIN)
    assert (found.outcome if isinstance(found, Answer) else found) is result


async def test_bug_a_page_that_mentions_an_error_code_was_taken_for_it(
    client: httpx.AsyncClient, server: Scripted
) -> None:
    server.answers(503, "<p>What does unsupported_token_type mean?</p>")
    found = await OAuth2(entry(server.url), client).revoke(TOKEN, "access_token", within=WITHIN)
    assert isinstance(found, Answer)
    assert found.outcome is O.TRANSIENT


async def test_bug_a_token_that_the_user_had_revoked_was_tried_again_for_a_day(
    client: httpx.AsyncClient, server: Scripted
) -> None:
    words: JsonValue = [
        {
            "fields": {"error": "invalid_grant", "error_subtype": "access_revoked"},
            "outcome": "access_revoked",
        }
    ]
    server.answers(400, '{"error": "invalid_grant", "error_subtype": "access_revoked"}')
    provider = OAuth2(entry(server.url, refusals=words), client)
    assert await provider.revoke(TOKEN, "refresh_token", within=WITHIN) is R.REVOKED


async def test_without_a_revocation_endpoint_nothing_is_sent(
    client: httpx.AsyncClient, server: Scripted
) -> None:
    provider = OAuth2(entry(server.url, revoke_url=None), client)
    assert await provider.revoke(TOKEN, "refresh_token", within=WITHIN) is R.UNSUPPORTED
    assert server.connections == 0


async def test_a_revocation_that_was_not_answered_is_to_be_tried_again(
    client: httpx.AsyncClient, server: Scripted
) -> None:
    server.stays_silent()
    provider = OAuth2(entry(server.url), client)
    found = await provider.revoke(TOKEN, "refresh_token", within=timedelta(seconds=0.3))
    assert isinstance(found, Answer)
    assert found.outcome is O.AMBIGUOUS
    async with refusing() as url:
        again = await OAuth2(entry(url), client).revoke(TOKEN, "refresh_token", within=WITHIN)
    assert again == Answer(O.TRANSIENT)
