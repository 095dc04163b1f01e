"""Turning templates into responses: escaping, the one stylesheet, and the headers around both.

Server-rendered and whole without JavaScript, which the content policy would not run anyway.
Decides nothing.
"""

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from .sessions import Session

COOKIE = "sandbox_session"
TEMPLATES = Path(__file__).parent / "templates"
STYLE = (TEMPLATES / "style.css").read_text()
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
# No form-action: browsers hold the redirect that follows a form to it as well, which would keep
# the consent form from ever leading back to the app.
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _day(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%d %B %Y, %H:%M UTC")


templates = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters["day"] = _day


def page(session: Session, template: str, status: int = 200, **shown: object) -> Response:
    """A page for one browser."""
    text = templates.get_template(template).render(style=STYLE, session=session, **shown)
    return remembering(session, HTMLResponse(text, status, HEADERS))


def see_other(location: str) -> Response:
    """After a form: look at `location`, by GET."""
    return RedirectResponse(location, 303, HEADERS)


def found(location: str) -> Response:
    """Back to the app."""
    return RedirectResponse(location, 302, HEADERS)


def remembering(session: Session, response: Response) -> Response:
    """The response, with the cookie by which the browser is known again."""
    response.set_cookie(COOKIE, session.sid, httponly=True, samesite="lax")
    return response
