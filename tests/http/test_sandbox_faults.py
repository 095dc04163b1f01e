"""Every kind of fault, as a real client or a raw socket sees it, and whether the sandbox acted."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from pydantic import JsonValue

    from providers.sandbox.ledger import Entry
    from providers.sandbox.remote import Minted
    from tests.http.conftest import App

BEFORE_AND_AFTER = pytest.mark.parametrize("when", ["before_acting", "after_acting"])


async def last_call(app: App, minted: Minted) -> Entry:
    """The entry of the newest token call of a grant, once it is closed."""
    await app.sandbox.logged(lambda entry: entry.finished_at is not None, grant_id=minted.grant_id)
    return (await app.sandbox.log(grant_id=minted.grant_id, endpoint="token"))[-1]


async def raw_refresh(app: App, minted: Minted) -> bytes:
    """All the bytes that come back on a plain TCP connection until its end."""
    form = {"grant_type": "refresh_token", "refresh_token": minted.refresh_token or ""}
    body = urlencode({**form, "client_id": app.client_id, "client_secret": app.secret})
    address = urlsplit(app.sandbox.base_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST /token HTTP/1.1\r\nHost: sandbox\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}".encode())
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@BEFORE_AND_AFTER
async def test_status_answers_in_the_sandboxs_place(app: App, when: str) -> None:
    minted = await app.mint()
    body: JsonValue = {"error": "temporarily_unavailable"}
    await app.plant("status", status=503, body=body, headers={"Retry-After": "7"}, when=when)
    answer = await app.refresh(minted.refresh_token)
    assert (answer.status_code, answer.json()) == (503, body)
    assert answer.headers["retry-after"] == "7"
    entry = await last_call(app, minted)
    acted = when == "after_acting"
    assert (entry.acted, entry.rotated, entry.answered) == (acted, acted, True)
    assert (entry.status, entry.fault, entry.error) == (503, "status", None)
    assert (await app.sandbox.grant(minted.grant_id)).refreshes == int(acted)


async def test_status_may_carry_text_or_nothing(app: App) -> None:
    minted = await app.mint()
    await app.plant("status", status=500, body="oops")
    answer = await app.refresh(minted.refresh_token)
    assert (answer.status_code, answer.text) == (500, "oops")
    await app.plant("status", status=502)
    answer = await app.refresh(minted.refresh_token)
    assert (answer.status_code, answer.content) == (502, b"")


@pytest.mark.parametrize("retry_after", ["7", "Wed, 21 Oct 2026 07:28:00 GMT", "soon", None])
async def test_rate_limit_sends_any_retry_after(app: App, retry_after: str | None) -> None:
    await app.plant("rate_limit", retry_after=retry_after)
    answer = await app.refresh((await app.mint()).refresh_token)
    assert answer.status_code == 429
    assert answer.headers.get("retry-after") == retry_after


async def test_html_is_a_page_as_a_firewall_sends(app: App) -> None:
    await app.plant("html", status=200)
    answer = await app.refresh((await app.mint()).refresh_token)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>Request blocked</h1>" in answer.text


async def test_redirect_points_elsewhere(app: App) -> None:
    await app.plant("redirect", location="http://127.0.0.1:1/elsewhere")
    answer = await app.refresh((await app.mint()).refresh_token)
    assert answer.status_code == 307
    assert answer.headers["location"] == "http://127.0.0.1:1/elsewhere"


@BEFORE_AND_AFTER
async def test_drop_closes_the_connection_without_a_byte(app: App, when: str) -> None:
    minted = await app.mint()
    await app.plant("drop", when=when)
    assert await raw_refresh(app, minted) == b""
    entry = await last_call(app, minted)
    acted = when == "after_acting"
    assert (entry.acted, entry.rotated, entry.answered) == (acted, acted, False)
    assert (entry.status, entry.fault) == (None, "drop")
    assert entry.finished_at is not None


async def test_drop_can_reset_the_connection(app: App) -> None:
    minted = await app.mint()
    await app.plant("drop", reset=True)
    with pytest.raises(ConnectionResetError):
        await raw_refresh(app, minted)


async def test_a_client_library_sees_drop_and_reset_as_transport_errors(app: App) -> None:
    minted = await app.mint()
    await app.plant("drop")
    with pytest.raises(httpx.RemoteProtocolError):
        await app.refresh(minted.refresh_token)
    await app.plant("drop", reset=True)
    with pytest.raises(httpx.ReadError):
        await app.refresh(minted.refresh_token)
    assert (await app.refresh(minted.refresh_token)).status_code == 200


async def test_truncate_promises_the_whole_body_and_gives_half(app: App) -> None:
    minted = await app.mint()
    await app.plant("truncate")
    head, _, body = (await raw_refresh(app, minted)).partition(b"\r\n\r\n")
    promised = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) == promised // 2
    entry = await last_call(app, minted)
    assert (entry.acted, entry.rotated, entry.answered) == (True, True, False)
    await app.plant("truncate")
    with pytest.raises(httpx.RemoteProtocolError):
        await app.refresh(minted.refresh_token)


async def test_answer_patches_the_real_answer(app: App) -> None:
    minted = await app.mint()
    patch: JsonValue = {"expires_in": "3600", "refresh_token": None, "token_type": "mac"}
    await app.plant("answer", patch=patch)
    answer = (await app.refresh(minted.refresh_token)).json()
    assert (answer["expires_in"], answer["token_type"]) == ("3600", "mac")
    assert "refresh_token" not in answer
    assert (await app.me(answer["access_token"])).status_code == 200
    assert (await app.sandbox.grant(minted.grant_id)).refreshes == 1


async def test_answer_can_be_any_text_around_the_real_tokens(app: App) -> None:
    minted = await app.mint()
    await app.plant("answer", raw='{"access_token": "$access_token", "expires_in": NaN, "$": 1}')
    answer = await app.refresh(minted.refresh_token)
    assert answer.headers["content-type"] == "application/json"
    assert '"expires_in": NaN, "$": 1}' in answer.text
    token = answer.text.split('"')[3]
    assert (await app.me(token)).status_code == 200


async def test_answer_can_be_form_encoded(app: App) -> None:
    minted = await app.mint()
    form = "access_token=$access_token&scope=&token_type=bearer"
    await app.plant("answer", raw=form, media_type="application/x-www-form-urlencoded")
    answer = await app.refresh(minted.refresh_token)
    assert (await app.me(parse_qs(answer.text)["access_token"][0])).status_code == 200


async def test_a_fault_strikes_as_often_as_it_says(app: App) -> None:
    minted = await app.mint()
    fault = await app.plant("status", status=500, times=2)
    statuses = [(await app.refresh(minted.refresh_token)).status_code for _ in range(3)]
    assert statuses == [500, 500, 200]
    listed = (await app.http.get("/_sandbox/faults")).json()["faults"]
    (facts,) = [each for each in listed if each["id"] == fault]
    assert (facts["struck"], facts["spent"]) == (2, True)


async def test_a_fault_without_end_strikes_until_it_is_cleared(app: App) -> None:
    minted = await app.mint()
    fault = await app.plant("html", times=None)
    for _ in range(3):
        assert (await app.refresh(minted.refresh_token)).status_code == 403
    await app.sandbox.clear(fault)
    assert (await app.refresh(minted.refresh_token)).status_code == 200


async def test_faults_strike_in_the_order_they_were_planted(app: App) -> None:
    minted = await app.mint()
    for status in (500, 502, 503):
        await app.plant("status", status=status)
    statuses = [(await app.refresh(minted.refresh_token)).status_code for _ in range(4)]
    assert statuses == [500, 502, 503, 200]


async def test_a_fault_can_be_for_one_grant_one_grant_type_or_one_endpoint(app: App) -> None:
    struck, spared = await app.mint(), await app.mint()
    await app.plant("status", status=500, grant_id=struck.grant_id, times=None)
    await app.plant("status", status=501, grant_type="authorization_code", times=None)
    await app.sandbox.plant("revoke", "status", client_id=app.client_id, status=502)
    assert (await app.refresh(struck.refresh_token)).status_code == 500
    assert (await app.exchange(await app.code())).status_code == 501
    assert (await app.revoke(spared.refresh_token)).status_code == 502
    assert (await app.refresh(spared.refresh_token)).status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"endpoint": "token", "kind": "unheard-of"},
        {"endpoint": "authorize", "kind": "drop"},
        {"endpoint": "token", "kind": "status"},
        {"endpoint": "token", "kind": "drop", "when": "sometimes"},
        {"endpoint": "token", "kind": "drop", "times": 0},
        {"endpoint": "token", "kind": "rate_limit", "retry_after": "7\r\nX-Smuggled: 1"},
    ],
)
async def test_a_malformed_fault_is_refused(app: App, fault: dict[str, str | int]) -> None:
    assert (await app.http.post("/_sandbox/faults", json=fault)).status_code == 422
