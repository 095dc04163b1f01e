"""The few pages a login on this machine ends on: constant texts, one style, no script."""

import base64
import hashlib
from html import escape

from starlette.responses import HTMLResponse, Response

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:34rem;padding:0 1.5rem;"
    "color:#1b2430;background:#f7f8fa}h1{font-size:1.4rem}"
    "@media(prefers-color-scheme:dark){body{color:#e6e9ee;background:#14181f}}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def finished() -> Response:
    """The answer has been taken in; how it went is told where it was begun."""
    return _page(
        200,
        "Back at Moorline",
        "The provider's answer has arrived. You can close this window: what becomes of the "
        "connection is shown where you began it.",
    )


def not_awaited() -> Response:
    """The redirect is none of ours, comes a second time, or too late."""
    return _page(
        400,
        "This page was not expected",
        "It belongs to no authorization that is waiting for an answer: it may have been used "
        "before, or its time is over. Begin again where you came from.",
    )


def nothing_to_start() -> Response:
    """No such attempt, or it is over."""
    return _page(
        404,
        "Nothing to authorize here",
        "This link was never given out, has been used, or its time is over. Ask for a new one.",
    )


def wrong_address() -> Response:
    """Asked for by another name or in another way than was told to the provider."""
    return _page(400, "Wrong address", "This page does not answer at the address it was asked by.")


def out_of_order() -> Response:
    """Our own database is away."""
    return _page(
        503,
        "Moorline cannot work right now",
        "Nothing is lost. Reload this page in a moment.",
    )


def _page(status: int, title: str, text: str) -> Response:
    title, text = escape(title), escape(text)
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>{title}</h1><p>{text}</p></main></body>"
        "</html>",
        status,
        HEADERS,
    )
