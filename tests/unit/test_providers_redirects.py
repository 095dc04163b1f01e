"""Reading redirects: what is ours and whole is read, everything else refused in our own words."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.status import StatusReason
from providers.redirects import Redirect, check_issuer, parse_redirect

BACK = "http://127.0.0.1:8400/callback"


def redirect(**fields: str) -> Redirect:
    return parse_redirect(f"{BACK}?{urlencode(fields)}")


def test_a_code_comes_with_its_state() -> None:
    found = redirect(code="mlcanary-code", state="mlcanary-state", iss="https://issuer.example")
    assert found.code is not None
    assert (found.code.reveal(), found.state.reveal()) == ("mlcanary-code", "mlcanary-state")
    assert (found.refusal, found.issuer, found.address) == (None, "https://issuer.example", BACK)
    assert "mlcanary" not in repr(found)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("access_denied", StatusReason.AUTHORIZATION_DENIED),
        ("invalid_scope", StatusReason.AUTHORIZATION_REFUSED),
        ("server_error", StatusReason.AUTHORIZATION_REFUSED),
        ("ACCESS_DENIED", StatusReason.AUTHORIZATION_REFUSED),
        ("<script>alert(1)</script>", StatusReason.AUTHORIZATION_REFUSED),
    ],
)
def test_of_an_error_only_is_kept_whether_the_user_declined(
    error: str, reason: StatusReason
) -> None:
    found = redirect(error=error, error_description="<b>mlcanary</b>", state="s")
    assert (found.code, found.refusal) == (None, reason)
    assert "mlcanary" not in repr(found)
    assert "script" not in repr(found)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=c",
        "state=s",
        "error=access_denied",
        "state=&code=c",
        "state=s&code=",
        "state=s&error=",
        "state=s&code=c&error=access_denied",
        "state=s&state=s&code=c",
        "state=s&code=c&code=d",
        "state=s&code=c&iss=a&iss=b",
        "state=s&code=c&scope=a&scope=b",
        "#state=s&code=c",
        "state=s;code=c",
        "&".join(f"f{number}=1" for number in range(60)) + "&state=s&code=c",
        "state=s&code=" + "c" * 8192,
        "state=\ud800&code=c",
    ],
    ids=lambda query: query[:30],
)
def test_what_is_not_whole_is_refused(query: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_redirect(f"{BACK}?{query}")
    assert "c" * 10 not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://[::1/callback?state=s&code=c", "http://[bad]?state=s&code=c"]
)
def test_bug_a_url_that_is_none_raised_value_error(url: str) -> None:
    with pytest.raises(InvalidInput):
        parse_redirect(url)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8400/callback",
        "http://127.0.0.1:8400/callback/",
        "https://evil.example/callback",
        "http://127.0.0.1:8400@evil.example/callback",
        "http://127.0.0.1:8400/CALLBACK",
    ],
)
def test_the_address_it_came_to_is_kept_as_it_is(address: str) -> None:
    assert parse_redirect(f"{address}?state=s&code=c#fragment").address == address


@given(st.text())
def test_no_text_makes_it_raise_anything_else(text: str) -> None:
    for url in (text, f"{BACK}?{text}", f"http://{text}?state=s&code=c"):
        try:
            found = parse_redirect(url)
        except InvalidInput:
            continue
        assert bool(found.state)
        assert (found.code is None) is (found.refusal is not None)


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_code_and_state_come_back_as_they_were_sent(code: str, state: str) -> None:
    found = redirect(code=code, state=state)
    assert found.code is not None
    assert (found.code.reveal(), found.state.reveal()) == (code, state)


ISSUER = "https://issuer.example"


@pytest.mark.parametrize(
    ("sent", "expected", "always", "accepted"),
    [
        (ISSUER, ISSUER, True, True),
        (ISSUER, ISSUER, False, True),
        (None, ISSUER, False, True),
        (None, ISSUER, True, False),
        (None, None, True, False),
        (ISSUER + "/", ISSUER, False, False),
        (ISSUER.upper(), ISSUER, False, False),
        ("https://honest.example", ISSUER, False, False),
        ("", ISSUER, False, False),
        (ISSUER, None, False, True),
    ],
)
def test_issuers_are_compared_as_plain_strings(
    sent: str | None, expected: str | None, always: bool, accepted: bool
) -> None:
    fields = {"code": "c", "state": "s"} | ({} if sent is None else {"iss": sent})
    found = redirect(**fields)
    if accepted:
        check_issuer(found, expected, always_sent=always)
    else:
        with pytest.raises(InvalidInput):
            check_issuer(found, expected, always_sent=always)
