"""Pages that only say something: where to go on, or why there is nothing to go on with."""

from typing import Final

from starlette.responses import Response

from domain.errors import Conflict, InvalidInput, MoorlineError, NotFound
from gateway.rendering import message, page

NOT_OURS: Final = (Conflict, InvalidInput, NotFound)


def on_to(url: str, whose: str) -> Response:
    """A page that goes on to another host by itself."""
    # A redirect after a form would be held to `form-action`, also wherever it goes on to; a page
    # that goes on by itself is not.
    return page("onward.html", refresh=f"0;url={url}", url=url, provider=whose)


def failed(error: MoorlineError) -> Response:
    """Whether it is a matter of what was asked for, or of ourselves."""
    return nothing_here() if isinstance(error, NOT_OURS) else out_of_order()


def nothing_here() -> Response:
    """Whatever the reason: strangers are told none."""
    text = "This link was never given out, has been used, or its time is over. Ask for a new one."
    return message(404, "Nothing to connect here", text)


def wrong_form() -> Response:
    """Another site has sent it."""
    return message(403, "This form was sent from elsewhere", "Open the link you were given again.")


def out_of_order() -> Response:
    """Our own trouble."""
    return message(
        503, "We cannot work right now", "Nothing is lost. Reload this page in a moment."
    )


def sentence(error: MoorlineError) -> str:
    """What an error says, as a sentence on a page."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
