"""What each answer of a token endpoint means: one table, through the real transport.

The table stands in the words of RFC 6749 and of what vendors and proxies are known to send; an
upgrade of an HTTP library that changes a row fails here.
"""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from pydantic import JsonValue

from domain.outcomes import Outcome
from domain.secret import Secret
from providers.classifier import Answer
from providers.entry import OAuth2Entry
from providers.oauth2 import OAuth2
from providers.transport import new_http_client
from tests.scripted import Scripted, http, refusing, scripted, unanswering

O = Outcome  # noqa: E741 -- short, for a wide table
TOKENS = json.dumps({"access_token": "mlcanary-at", "expires_in": 3600})
PAGE = {"content-type": "text/html"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
AWAY = {"location": "http://127.0.0.1:9/"}
FAILURES = (500, 502, 503, 504)
HTML = "<!doctype html><title>Request blocked</title><p>The proxy in between says no.</p>"
SECOND = timedelta(seconds=1)
Script = Callable[[Scripted], None]


def entry(url: str, **changes: JsonValue) -> OAuth2Entry:
    usual: dict[str, JsonValue] = {
        "slug": "example",
        "name": "Example",
        "type": "oauth2",
        "authorize_url": f"{url}/authorize",
        "token_url": f"{url}/token",
        "revoke_url": f"{url}/revoke",
        "client_id": "app",
        "client_secret": "${EXAMPLE_SECRET}",
    }
    return OAuth2Entry.model_validate({**usual, **changes})


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_SECRET", "mlcanary-secret")


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with new_http_client() as made:
        yield made


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with scripted() as made:
        yield made


async def refresh(client: httpx.AsyncClient, url: str, within: timedelta = 5 * SECOND) -> Answer:
    return await OAuth2(entry(url), client).refresh(Secret("mlcanary-rt"), within=within)


@dataclass(frozen=True)
class Row:
    """What is seen, and what it must be taken for."""

    seen: str
    script: Script
    outcome: Outcome
    status: int | None = None
    code: str | None = None
    may_have_acted: bool = False
    retry_after: timedelta | None = None


def whole(status: int, body: object = b"", headers: dict[str, str] | None = None) -> Script:
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    return lambda server: server.answers(status, content, headers)


def raw(answer: bytes) -> Script:
    return lambda server: server.writes(answer)


def reset(*, after_reading: bool, answer: bytes = b"") -> Script:
    return lambda server: server.resets(after_reading=after_reading, answer=answer)


def lost(seen: str, script: Script) -> Row:
    """Something was sent, and nothing came back whole."""
    return Row(seen, script, O.AMBIGUOUS, may_have_acted=True)


def odd(seen: str, script: Script, status: int = 200) -> Row:
    """A whole answer that is neither tokens nor an error OAuth knows."""
    return Row(seen, script, O.PROTOCOL_ERROR, status, may_have_acted=True)


def coded(code: str, outcome: Outcome, *statuses: int, acted: bool = False) -> list[Row]:
    """An error as RFC 6749 writes it; the code is kept, the description is not."""
    body = {"error": code, "error_description": "mlcanary, and a text of the provider"}
    return [
        Row(f"{code} on {status}", whole(status, body), outcome, status, code, acted)
        for status in statuses
    ]


def passing(seen: str, script: Script, status: int) -> Row:
    return Row(seen, script, O.TRANSIENT, status, may_have_acted=status >= 500)


def limited(asked: str | None, meant: timedelta | None) -> Row:
    headers = None if asked is None else {"retry-after": asked}
    seen = f"429, Retry-After: {asked}"
    return Row(seen, whole(429, HTML, headers), O.RATE_LIMITED, 429, retry_after=meant)


CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"
HALF = http(200, TOKENS.encode(), {})[:-10]
GRANT_AS_FORM = "error=invalid_grant&error_description=mlcanary"
TABLE = [
    Row("tokens", whole(200, TOKENS), O.REFRESHED, 200),
    Row("tokens with 201", whole(201, TOKENS), O.REFRESHED, 201),
    Row("tokens as text/html", whole(200, TOKENS, PAGE), O.REFRESHED, 200),
    Row("tokens beside an error", whole(200, TOKENS[:-1] + ', "error": ""}'), O.REFRESHED, 200),
    Row("tokens as a form", whole(200, "access_token=at&scope=", FORM), O.REFRESHED, 200),
    lost("reset before the request was read", reset(after_reading=False)),
    lost("reset after the request was read", reset(after_reading=True)),
    lost("reset in the middle of the answer", reset(after_reading=True, answer=HALF)),
    lost("closed without an answer", raw(b"")),
    lost("closed in the head", raw(b"HTTP/1.1 200 OK\r\nContent-")),
    lost("a truncated body", raw(HALF)),
    lost("a truncated chunk", raw(CHUNK)),
    lost("no HTTP at all", raw(b"220 mail.example ESMTP\r\n")),
    lost("a body over 1 MiB", whole(200, TOKENS + " " * (1 << 20))),
    odd("200 and a page", whole(200, HTML, PAGE)),
    odd("200 and nothing", whole(200)),
    odd("200 and a list", whole(200, [TOKENS])),
    odd("200 and an empty token", whole(200, {"access_token": ""})),
    odd("200 and an error nobody knows", whole(200, {"ok": False, "error": "odd"})),
    odd("204", whole(204, headers={"content-length": "0"}), 204),
    # Only a structured code is terminal, and it is so with any status that is not a failure.
    *coded("invalid_grant", O.GRANT_DEAD, 400, 401, 403, 200),
    Row("a form", whole(200, GRANT_AS_FORM, FORM), O.GRANT_DEAD, 200, "invalid_grant"),
    # The provider refuses us, not the user.
    *coded("invalid_client", O.APP_MISCONFIGURED, 401, 400),
    *coded("unauthorized_client", O.APP_MISCONFIGURED, 400, 401),
    *coded("unsupported_grant_type", O.APP_MISCONFIGURED, 400),
    *coded("invalid_request", O.APP_MISCONFIGURED, 400),
    *coded("invalid_scope", O.APP_MISCONFIGURED, 400),
    *(
        Row(f"{status}", whole(status, headers=AWAY), O.APP_MISCONFIGURED, status)
        for status in (301, 302, 303, 307, 308)
    ),
    # It passes.
    *coded("slow_down", O.RATE_LIMITED, 400),
    passing("400 without a code", whole(400, {"message": "no"}), 400),
    passing("400 with a code nobody knows", whole(400, {"error": "odd"}), 400),
    passing("400 with a code that is no text", whole(400, {"error": {"code": 190}}), 400),
    passing("401 without a body", whole(401), 401),
    passing("403 and a page of a firewall", whole(403, HTML, PAGE), 403),
    passing("403 and a page that talks of invalid_grant", whole(403, GRANT_AS_FORM, PAGE), 403),
    passing("404", whole(404, "Not Found", PAGE), 404),
    limited(None, None),
    limited("7", 7 * SECOND),
    limited("1000000000", 10**9 * SECOND),
    limited("soon", None),
    *coded("invalid_grant", O.RATE_LIMITED, 429),
    # It passes, but they may have acted before they failed.
    *(passing(f"{status} and a page", whole(status, HTML, PAGE), status) for status in FAILURES),
    *coded("invalid_grant", O.TRANSIENT, *FAILURES, acted=True),
    passing("500 that holds tokens", whole(500, TOKENS), 500),
    *coded("temporarily_unavailable", O.TRANSIENT, 400, acted=True),
    *coded("server_error", O.TRANSIENT, 400, acted=True),
    Row("408 and a page", whole(408, HTML, PAGE), O.TRANSIENT, 408, may_have_acted=True),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.seen)
async def test_every_answer_means_what_the_table_says(
    client: httpx.AsyncClient, server: Scripted, row: Row
) -> None:
    row.script(server)
    answer = await refresh(client, server.url)
    assert answer.outcome is row.outcome
    assert (answer.status, answer.code) == (row.status, row.code)
    assert answer.may_have_acted is row.may_have_acted
    assert answer.retry_after == row.retry_after
    assert (answer.tokens is not None) is (row.outcome is O.REFRESHED)
    assert server.connections == 1
    assert "mlcanary" not in repr(answer)
    assert "text of the provider" not in repr(answer)


async def test_a_failing_server_may_ask_for_time_too(
    client: httpx.AsyncClient, server: Scripted
) -> None:
    server.answers(503, HTML, {"retry-after": "7"})
    answer = await refresh(client, server.url)
    assert (answer.outcome, answer.retry_after) == (O.TRANSIENT, 7 * SECOND)


async def test_a_date_in_retry_after_is_a_duration_from_now(
    client: httpx.AsyncClient, server: Scripted
) -> None:
    at = datetime.now(UTC) + timedelta(minutes=5)
    server.answers(503, headers={"retry-after": format_datetime(at, usegmt=True)})
    asked = (await refresh(client, server.url)).retry_after
    assert asked is not None
    assert 4.9 < asked / timedelta(minutes=1) <= 5


@pytest.mark.parametrize("off", [timedelta(minutes=10), -timedelta(minutes=10)], ids=str)
async def test_bug_a_date_in_retry_after_was_compared_with_our_clock(
    client: httpx.AsyncClient, server: Scripted, off: timedelta
) -> None:
    """The provider's clock or ours is ten minutes wrong; it has said what time it took it for."""
    at = (datetime.now(UTC) + off).replace(microsecond=0)
    dates = {"date": at, "retry-after": at + timedelta(minutes=5)}
    told = {name: format_datetime(each, usegmt=True) for name, each in dates.items()}
    server.answers(503, headers=told)
    assert (await refresh(client, server.url)).retry_after == timedelta(minutes=5)


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\n", HALF], ids=["silent", "head", "half"]
)
async def test_an_answer_that_does_not_come_in_time_is_ambiguous(
    client: httpx.AsyncClient, server: Scripted, begun: bytes
) -> None:
    server.stays_silent(begun)
    answer = await refresh(client, server.url, within=SECOND / 3)
    assert (answer.outcome, answer.may_have_acted) == (O.AMBIGUOUS, True)
    assert len(server.requests) == 1


async def test_a_connection_that_is_refused_sent_nothing(client: httpx.AsyncClient) -> None:
    async with refusing() as url:
        assert await refresh(client, url) == Answer(O.TRANSIENT)


async def test_a_connection_that_is_not_made_in_time_sent_nothing(
    client: httpx.AsyncClient,
) -> None:
    async with unanswering() as url:
        assert await refresh(client, url, within=SECOND / 3) == Answer(O.TRANSIENT)


async def test_a_host_that_does_not_exist_was_sent_nothing(client: httpx.AsyncClient) -> None:
    assert await refresh(client, "https://moorline.invalid") == Answer(O.TRANSIENT)


async def test_a_server_that_speaks_no_tls_was_sent_no_request(
    client: httpx.AsyncClient, server: Scripted
) -> None:
    server.only_listens()
    url = server.url.replace("http://", "https://")
    assert await refresh(client, url, within=SECOND / 3) == Answer(O.TRANSIENT)
    assert server.connections == 1
    assert b"mlcanary" not in server.received
    assert b"POST" not in server.received
