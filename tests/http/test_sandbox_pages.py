"""The pages as a browser without JavaScript uses them: form by form, over real HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import httpx
import pytest

from providers.sandbox.clients import Registration
from providers.statement import Statement

if TYPE_CHECKING:
    from tests.http.conftest import App


class Forms(HTMLParser):
    """The forms of a page: where each is sent, and the fields it is sent with unless changed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.labelled: set[str] = set()
        self.inputs: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((attributes["action"], {}))
        if tag == "label":
            self.labelled.add(attributes["for"])
        if tag == "input" and attributes.get("type") == "hidden":
            self.forms[-1][1][attributes["name"]] = attributes["value"]
        elif tag == "input":
            self.inputs.add(attributes["id"])


async def send(http: httpx.AsyncClient, page: httpx.Response, **fields: str) -> httpx.Response:
    """Send the last form of a page."""
    action, hidden = Forms(page.text).forms[-1]
    return await http.post(action, data={**hidden, **fields})


async def log_in(http: httpx.AsyncClient, url: str, user: str = "alice") -> httpx.Response:
    """The page behind the login."""
    login = await http.get(url)
    entered = await send(http, login, username=user, password="sandbox", action="login")
    assert entered.status_code == 303
    return await http.get(entered.headers["location"])


@pytest.fixture
async def browser(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=app.sandbox.base_url, trust_env=False) as http:
        yield http


async def test_login_consent_and_allow_lead_back_with_a_code(
    app: App, browser: httpx.AsyncClient
) -> None:
    consent = await log_in(browser, app.authorize_url())
    assert app.client_id in consent.text
    assert "<code>profile</code>" in consent.text
    assert "<code>files</code>" in consent.text
    allowed = await send(browser, consent, action="allow")
    assert allowed.status_code == 302
    back = httpx.URL(allowed.headers["location"])
    assert str(back).startswith(app.redirect_uri)
    assert back.params["state"] == "a state & more"
    assert back.params["iss"] == app.sandbox.base_url
    tokens = (await app.exchange(back.params["code"])).json()
    assert (await app.me(tokens["access_token"])).json()["user"] == "alice"


async def test_deny_leads_back_with_access_denied(app: App, browser: httpx.AsyncClient) -> None:
    consent = await log_in(browser, app.authorize_url())
    denied = await send(browser, consent, action="deny")
    assert denied.status_code == 302
    assert httpx.URL(denied.headers["location"]).params["error"] == "access_denied"


async def test_a_wrong_password_shows_the_login_again(app: App, browser: httpx.AsyncClient) -> None:
    login = await browser.get(app.authorize_url())
    for user, password in (("alice", "wrong"), ("mallory", "sandbox"), ("", "")):
        answer = await send(browser, login, username=user, password=password, action="login")
        assert answer.status_code == 403
        assert "do not match" in answer.text
        assert Forms(answer.text).inputs == {"username", "password"}


async def test_the_session_cookie_is_closed_to_scripts_and_changes_with_the_login(
    app: App, browser: httpx.AsyncClient
) -> None:
    first = await browser.get(app.authorize_url())
    assert "httponly" in first.headers["set-cookie"].lower()
    assert "samesite=lax" in first.headers["set-cookie"].lower()
    before = browser.cookies["sandbox_session"]
    await log_in(browser, app.authorize_url())
    assert browser.cookies["sandbox_session"] != before


@pytest.mark.parametrize("csrf", ["", "0" * 64])
async def test_no_form_is_believed_without_its_csrf_token(
    app: App, browser: httpx.AsyncClient, csrf: str
) -> None:
    minted = await app.mint()
    login = await browser.get(app.authorize_url())
    entry = {"username": "alice", "password": "sandbox", "action": "login", "csrf": csrf}
    assert (await send(browser, login, **entry)).status_code == 403
    consent = await log_in(browser, app.authorize_url())
    for action in ("allow", "logout"):
        assert (await send(browser, consent, action=action, csrf=csrf)).status_code == 403
    taking = {"action": "take_away", "grant": minted.grant_id, "csrf": csrf}
    assert (await browser.post("/account", data=taking)).status_code == 403
    assert (await app.sandbox.grant(minted.grant_id)).live


async def test_a_decision_without_a_login_decides_nothing(
    app: App, browser: httpx.AsyncClient
) -> None:
    login = await browser.get(app.authorize_url())
    answer = await send(browser, login, action="allow")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/authorize?")


async def test_the_account_page_lists_apps_and_takes_access_away(
    app: App, browser: httpx.AsyncClient
) -> None:
    minted, of_bob = await app.mint(), await app.sandbox.mint(app.client_id, "bob")
    account = await log_in(browser, "/account")
    assert minted.grant_id in account.text
    assert of_bob.grant_id not in account.text
    taken = await send(browser, account, action="take_away", grant=minted.grant_id)
    assert taken.status_code == 303
    assert minted.grant_id not in (await browser.get("/account")).text
    refused = (await app.refresh(minted.refresh_token)).json()
    assert refused["error_subtype"] == "access_revoked"


async def test_nobody_takes_away_what_another_user_granted(
    app: App, browser: httpx.AsyncClient
) -> None:
    await app.mint()
    of_bob = await app.sandbox.mint(app.client_id, "bob")
    account = await log_in(browser, "/account")
    await send(browser, account, action="take_away", grant=of_bob.grant_id)
    assert (await app.sandbox.grant(of_bob.grant_id)).live


async def test_logging_out_asks_for_the_login_again(app: App, browser: httpx.AsyncClient) -> None:
    account = await log_in(browser, "/account", "bob")
    action, hidden = Forms(account.text).forms[0]
    await browser.post(action, data={**hidden, "action": "logout"})
    assert 'name="password"' in (await browser.get("/account")).text


async def test_everything_shown_is_escaped(app: App, browser: httpx.AsyncClient) -> None:
    script = "<script>alert(1)</script>"
    registration = Registration(name=f"Evil {script}", redirect_uris=["http://127.0.0.1/'\"<b>"])
    await app.sandbox.register(app.client_id, registration)
    url = app.authorize_url(
        scope=script, state=f'"{script}', redirect_uri="http://127.0.0.1:1/'\"<b>"
    )
    login = await browser.get(url)
    consent = await log_in(browser, url)
    await app.sandbox.mint(app.client_id, scope=script)
    account = await browser.get("/account")
    for page in (login, consent, account):
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "<b>" not in page.text
    assert "Evil &lt;script&gt;" in consent.text
    denied = await send(browser, consent, action="deny")
    assert httpx.URL(denied.headers["location"]).params["state"] == f'"{script}'


async def test_pages_allow_their_own_stylesheet_and_nothing_else(
    app: App, browser: httpx.AsyncClient
) -> None:
    page = await browser.get(app.authorize_url())
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"


async def test_pages_are_usable_without_sight_or_scripts(
    app: App, browser: httpx.AsyncClient
) -> None:
    login = await browser.get(app.authorize_url())
    consent = await log_in(browser, app.authorize_url())
    forms = Forms(login.text)
    assert forms.inputs == forms.labelled == {"username", "password"}
    for page in (login, consent, await browser.get("/account")):
        assert '<html lang="en">' in page.text
        assert page.text.count("<h1>") == 1
        assert "<main>" in page.text
        assert "<title>" in page.text


async def test_a_user_is_shown_a_link_token_once_and_takes_it_back(
    app: App, browser: httpx.AsyncClient
) -> None:
    account = await log_in(browser, "/account", user="bob")
    made = await send(browser, account, action="new_link")
    token = re.findall(r"<code>(mlcanary-link-[^<]+)</code>", made.text)[0]
    assert token not in (await browser.get("/account")).text
    headers = {"X-Link-Token": token}
    assert (await browser.get("/linked/me", headers=headers)).json() == {"user": "bob"}
    assert (await browser.get("/broker/me", headers={"X-Api-Key": token})).status_code == 401
    action, hidden = next(
        (action, fields) for action, fields in Forms(made.text).forms if "key" in fields
    )
    await browser.post(action, data={**hidden, "action": "delete_key"})
    assert (await browser.get("/linked/me", headers=headers)).status_code == 401


async def test_what_a_user_exports_is_a_statement_that_adds_up(
    app: App, browser: httpx.AsyncClient
) -> None:
    path = "/account/transactions.csv"
    assert (await browser.get(path)).headers["location"] == "/account"
    await log_in(browser, "/account", user="bob")
    answer = await browser.get(path)
    assert answer.headers["content-type"].startswith("text/csv")
    found = Statement.parse(answer.text)
    truth = await app.sandbox.finances("bob")
    balances = sorted(each.balance.amount for each in found.accounts.values())
    assert balances == sorted(each.balance for each in truth)
    counts = sorted(len(rows) for rows in found.transactions.values())
    assert counts == sorted(each.transactions for each in truth)
