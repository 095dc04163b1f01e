"""The authorize URL and PKCE: encoded as the standards say, and never without them."""

import string
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from domain.secret import Secret
from providers.entry import OAuth2Entry
from providers.oauth2 import authorization_url, code_challenge, new_secret

REDIRECT_URI = "https://app.example/callback?tenant=7&x=\u00e9"
UNRESERVED = set(string.ascii_letters + string.digits + "-._~")


def entry(**changes: JsonValue) -> OAuth2Entry:
    usual: dict[str, JsonValue] = {
        "slug": "example",
        "name": "Example",
        "type": "oauth2",
        "authorize_url": "https://provider.example/authorize",
        "token_url": "https://provider.example/token",
        "client_id": "our app & co",
        "client_authentication": "none",
        "scopes": ["profile", "files.read"],
    }
    return OAuth2Entry.model_validate({**usual, **changes})


def url(state: str = "s", verifier: str = "v" * 43, **changes: JsonValue) -> str:
    return authorization_url(
        entry(**changes),
        redirect_uri=REDIRECT_URI,
        state=Secret(state),
        verifier=Secret(verifier),
    )


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_verifiers_are_long_random_and_of_the_allowed_letters() -> None:
    made = {new_secret().reveal() for _ in range(100)}
    assert len(made) == 100
    assert all(43 <= len(each) <= 128 for each in made)
    assert set("".join(made)) <= UNRESERVED


def test_the_url_carries_everything_once_and_encoded() -> None:
    query = urlsplit(url(state="a state & more")).query
    assert parse_qs(query, strict_parsing=True) == {
        "response_type": ["code"],
        "client_id": ["our app & co"],
        "redirect_uri": [REDIRECT_URI],
        "scope": ["profile files.read"],
        "state": ["a state & more"],
        "code_challenge": [code_challenge(Secret("v" * 43))],
        "code_challenge_method": ["S256"],
    }
    assert query.isascii()
    assert " " not in query


def test_the_verifier_itself_stays_here() -> None:
    assert "v" * 43 not in url()


def test_scopes_are_joined_as_the_provider_wants_them_or_left_out() -> None:
    query = dict(parse_qsl(urlsplit(url(scope_separator=",")).query))
    assert query["scope"] == "profile,files.read"
    assert "scope" not in dict(parse_qsl(urlsplit(url(scopes=[])).query))


@pytest.mark.parametrize(
    "authorize_url",
    [
        "https://provider.example/",
        "https://provider.example/authorize?",
        "https://provider.example/authorize?tenant=7",
        "https://provider.example/authorize?tenant=7&",
        "https://provider.example",
    ],
)
def test_an_authorize_url_may_have_a_query_of_its_own(authorize_url: str) -> None:
    built = url(authorize_url=authorize_url)
    query = dict(parse_qsl(urlsplit(built).query, keep_blank_values=True))
    assert query["client_id"] == "our app & co"
    assert query.get("tenant") == ("7" if "tenant" in authorize_url else None)
    assert built.count("?") == 1


def test_params_of_the_entry_are_added_and_never_replace_ours() -> None:
    params: JsonValue = {
        "prompt": "consent",
        "access_type": "offline",
        "state": "theirs",
        "code_challenge_method": "plain",
        "response_type": "token",
    }
    query = parse_qs(urlsplit(url(authorize_params=params)).query, strict_parsing=True)
    assert (query["prompt"], query["access_type"]) == (["consent"], ["offline"])
    assert query["state"] == ["s"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["response_type"] == ["code"]


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_state_and_client_id_survive_the_encoding(state: str, client_id: str) -> None:
    query = urlsplit(url(state=state, client_id=f"id {client_id}")).query
    found = parse_qs(query, keep_blank_values=True, strict_parsing=True)
    assert (found["state"], found["client_id"]) == ([state], [f"id {client_id}"])
