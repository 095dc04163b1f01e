"""A person with a browser: opens a page, logs in, and allows or declines, form by form.

Speaks HTTP only, and follows the same pages a browser would: from our own start page, or a link of
the gateway's, to the provider's login and consent, and back to wherever the provider sends it.
"""

from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

STEPS = 15
OWN_FORM = {"Sec-Fetch-Site": "same-origin"}
"""What a browser says of a form that goes back to where its page came from."""


class _Form(HTMLParser):
    """The last form of a page: where it goes, its hidden fields, and the names of its buttons.

    And where the page goes on to by itself, if it does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.onward = ""
        self.action = ""
        self.fields: dict[str, str] = {}
        self.buttons: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "meta" and found.get("http-equiv") == "refresh":
            self.onward = found.get("content", "").partition("url=")[2]
        elif tag == "form":
            self.action, self.fields, self.buttons = found.get("action", ""), {}, []
        elif tag == "input" and "name" in found:
            self.fields[found["name"]] = found.get("value", "")
        elif tag == "button" and "name" in found:
            self.buttons.append((found["name"], found.get("value", "")))


async def visit(url: str, *, name: str = "alice", decision: str = "allow") -> str:
    """Open a page in a new browser, do what it asks for until a page asks for nothing; its text."""
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False, timeout=10) as browser:
        page = await browser.get(url)
        for _ in range(STEPS):
            form = _Form()
            form.feed(page.text)
            if "password" in form.fields:
                answer = {"username": name, "password": "sandbox", "action": "login"}
            elif ("action", decision) in form.buttons:
                answer = {"action": decision}
            elif form.action:
                answer = {}
            elif form.onward:
                page = await browser.get(form.onward)
                continue
            else:
                return page.raise_for_status().text
            target = urljoin(str(page.url), form.action)
            page = await browser.post(target, data={**form.fields, **answer}, headers=OWN_FORM)
    raise RuntimeError("the provider's pages never come to an end")
