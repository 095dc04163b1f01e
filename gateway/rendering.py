"""Turning templates into pages: escaping, the one stylesheet, and the headers around both.

Whole without JavaScript, which the content policy would not run anyway. Decides nothing.
"""

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

TEMPLATES = Path(__file__).parent / "templates"
STYLE = (TEMPLATES / "style.css").read_text()
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    # Not `no-referrer`: our own forms must say where they come from.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

templates = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, status: int = 200, *, refresh: str = "", **shown: object) -> Response:
    """A page.

    Args:
        refresh: where the browser goes on by itself, after as many seconds: ``"2;url=..."``.
    """
    text = templates.get_template(template).render(style=STYLE, refresh=refresh, **shown)
    return HTMLResponse(text, status, HEADERS)


def message(status: int, title: str, text: str) -> Response:
    """A page that only says something."""
    return page("message.html", status, title=title, text=text)


def see_other(location: str) -> Response:
    """Look at ``location``, by GET."""
    return RedirectResponse(location, 303, HEADERS)
