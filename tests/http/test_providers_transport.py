"""What leaves this house in a token request, and how much of what comes back is read."""

import base64
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import unquote_plus

import httpx
import pytest
from pydantic import JsonValue

from domain.outcomes import Outcome
from domain.secret import Secret
from providers.classifier import Answer
from providers.entry import OAuth2Entry
from providers.oauth2 import OAuth2
from providers.transport import LONGEST_BODY, new_http_client
from tests.scripted import Scripted, scripted

WITHIN = timedelta(seconds=5)
TOKENS = json.dumps({"access_token": "mlcanary-at", "refresh_token": "mlcanary-new"}).encode()
REFRESH_TOKEN = Secret("mlcanary-rt +/=&")


def entry(url: str, **changes: JsonValue) -> OAuth2Entry:
    usual: dict[str, JsonValue] = {
        "slug": "example",
        "name": "Example",
        "type": "oauth2",
        "authorize_url": f"{url}/authorize",
        "token_url": f"{url}/token",
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
        made.answers(200, TOKENS)
        yield made


@pytest.fixture
def provider(client: httpx.AsyncClient, server: Scripted) -> OAuth2:
    return OAuth2(entry(server.url), client)


# -- what is sent ------------------------------------------------------------------------------


async def test_a_refresh_is_one_form_with_the_token_and_nothing_else(
    provider: OAuth2, server: Scripted
) -> None:
    await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    (request,) = server.requests
    assert request.head.startswith("POST /token HTTP/1.1\r\n")
    assert request.form == {
        "grant_type": "refresh_token",
        "refresh_token": REFRESH_TOKEN.reveal(),
    }
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"


async def test_a_code_is_exchanged_with_its_verifier_and_redirect_uri(
    provider: OAuth2, server: Scripted
) -> None:
    answer = await provider.exchange_code(
        code=Secret("a code"),
        verifier=Secret("v" * 43),
        redirect_uri="https://app.example/back?tenant=7",
        within=WITHIN,
    )
    (request,) = server.requests
    assert request.form == {
        "grant_type": "authorization_code",
        "code": "a code",
        "redirect_uri": "https://app.example/back?tenant=7",
        "code_verifier": "v" * 43,
    }
    assert answer.outcome is Outcome.REFRESHED


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [
        ("app", "secret"),
        ("an app:7", "a:b %&=+~*/?@\u00e9\U0001f3e6"),
        ("%41", "%41+"),
        ("https://app.example/", "-._~"),
    ],
)
async def test_basic_authentication_encodes_both_halves_before_it_joins_them(
    client: httpx.AsyncClient, server: Scripted, client_id: str, secret: str
) -> None:
    provider = OAuth2(entry(server.url, client_id=client_id, client_secret=secret), client)
    await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    (request,) = server.requests
    scheme, _, encoded = request.headers["authorization"].partition(" ")
    halves = base64.b64decode(encoded).decode("ascii").split(":")
    assert scheme == "Basic"
    assert [unquote_plus(half) for half in halves] == [client_id, secret]
    assert request.form.keys() == {"grant_type", "refresh_token"}


async def test_a_secret_in_the_body_is_not_in_a_header_too(
    client: httpx.AsyncClient, server: Scripted
) -> None:
    provider = OAuth2(entry(server.url, client_authentication="client_secret_post"), client)
    await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    (request,) = server.requests
    assert "authorization" not in request.headers
    assert (request.form["client_id"], request.form["client_secret"]) == ("app", "mlcanary-secret")


async def test_a_public_app_says_who_it_is_and_proves_nothing(
    client: httpx.AsyncClient, server: Scripted
) -> None:
    provider = OAuth2(entry(server.url, client_authentication="none"), client)
    await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    (request,) = server.requests
    assert "authorization" not in request.headers
    assert request.form["client_id"] == "app"
    assert "client_secret" not in request.form


async def test_nothing_is_sent_once_permission_is_withdrawn(
    provider: OAuth2, server: Scripted
) -> None:
    server.only_listens()
    asked = []

    def may_send() -> bool:
        asked.append(server.connections)
        return False

    answer = await provider.refresh(REFRESH_TOKEN, within=WITHIN, may_send=may_send)
    assert answer == Answer(Outcome.TRANSIENT)
    assert len(asked) == 1
    assert server.received == b""


async def test_permission_is_asked_once_when_the_connection_stands(
    provider: OAuth2, server: Scripted
) -> None:
    asked = []

    def may_send() -> bool:
        asked.append(bytes(server.received))
        return True

    answer = await provider.refresh(REFRESH_TOKEN, within=WITHIN, may_send=may_send)
    assert answer.outcome is Outcome.REFRESHED
    assert asked == [b""]


async def test_every_request_has_a_connection_of_its_own(
    provider: OAuth2, server: Scripted
) -> None:
    for _ in range(3):
        await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    assert server.connections == 3


async def test_bug_a_cookie_of_one_users_answer_went_with_the_next_users_token(
    provider: OAuth2, server: Scripted, client: httpx.AsyncClient
) -> None:
    server.answers(200, TOKENS, {"set-cookie": "session=alice; Path=/"})
    await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    assert all("cookie" not in request.headers for request in server.requests)
    assert len(client.cookies) == 0


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
async def test_no_proxy_of_the_environment_gets_the_token(
    server: Scripted, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted() as proxy, new_http_client() as client:
        monkeypatch.setenv(name, proxy.url)
        answer = await OAuth2(entry(server.url), client).refresh(REFRESH_TOKEN, within=WITHIN)
        assert answer.outcome is Outcome.REFRESHED
        assert proxy.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_its_target_receives_nothing(
    provider: OAuth2, server: Scripted, status: int
) -> None:
    async with scripted() as target:
        server.answers(status, headers={"location": f"{target.url}/token"})
        answer = await provider.refresh(REFRESH_TOKEN, within=WITHIN)
        assert answer.outcome is Outcome.APP_MISCONFIGURED
        assert target.connections == 0


# -- what comes back ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)],
)
async def test_an_answer_that_is_packed_unasked_is_read_all_the_same(
    provider: OAuth2, server: Scripted, encoding: str, pack: object
) -> None:
    assert callable(pack)
    server.answers(200, pack(TOKENS), {"content-encoding": encoding})
    answer = await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    assert answer.tokens is not None
    assert answer.tokens.access_token.reveal() == "mlcanary-at"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", TOKENS),
        ("gzip", gzip.compress(TOKENS)[:-9]),
        ("br", TOKENS),
        ("identity, gzip", gzip.compress(TOKENS)),
    ],
    ids=["not packed", "cut off", "packed in a way we do not know", "packed twice"],
)
async def test_an_answer_that_cannot_be_unpacked_is_ambiguous(
    provider: OAuth2, server: Scripted, encoding: str, body: bytes
) -> None:
    server.answers(200, body, {"content-encoding": encoding})
    answer = await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    assert (answer.outcome, answer.may_have_acted) == (Outcome.AMBIGUOUS, True)


async def test_an_empty_answer_is_empty_however_it_says_it_is_packed(
    provider: OAuth2, server: Scripted
) -> None:
    server.answers(429, b"", {"content-encoding": "gzip"})
    answer = await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    assert answer.outcome is Outcome.RATE_LIMITED


@pytest.mark.parametrize("layers", [1, 2], ids=["a bomb", "a bomb in a bomb"])
async def test_bug_a_bomb_was_unpacked_before_it_was_measured(
    provider: OAuth2, server: Scripted, layers: int
) -> None:
    body = b" " * (64 * LONGEST_BODY)
    for _ in range(layers):
        body = gzip.compress(body)
    server.answers(200, body, {"content-encoding": ", ".join(["gzip"] * layers)})
    tracemalloc.start()
    try:
        answer = await provider.refresh(REFRESH_TOKEN, within=WITHIN)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.outcome is Outcome.AMBIGUOUS
    assert peak < 8 * LONGEST_BODY


@pytest.mark.parametrize("over", [False, True])
async def test_a_body_is_read_up_to_one_mebibyte(
    provider: OAuth2, server: Scripted, over: bool
) -> None:
    body = TOKENS + b" " * (LONGEST_BODY - len(TOKENS) + over)
    server.answers(200, body)
    answer = await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    assert answer.outcome is (Outcome.AMBIGUOUS if over else Outcome.REFRESHED)


async def test_a_body_without_end_is_left_at_one_mebibyte(
    provider: OAuth2, server: Scripted
) -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (8 * LONGEST_BODY)
    server.stays_silent(endless)
    answer = await provider.refresh(REFRESH_TOKEN, within=WITHIN)
    assert answer.outcome is Outcome.AMBIGUOUS
