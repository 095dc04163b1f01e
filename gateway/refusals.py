"""How routes refuse: what their documentation says of it, and the way back for the user."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from domain.errors import NeedsUser
from gateway.options import Options
from gateway.problems import MEDIA_TYPE, Problem, refusal_of

WHEN: Final = {
    401: "no API key, or none of ours",
    403: "the key's role may not do this",
    404: "there is no such connection",
    409: "the connection's state does not allow it: only its user can help, or it has ended",
    422: "the request cannot be right; never says what was sent",
    429: "too many messages to this connection; `Retry-After` says when it takes more",
    503: "not for now; `Retry-After` says when to come again",
}

Documented = dict[int | str, dict[str, object]]


def documented(*more: int) -> Documented:
    """The problems of a route, for its documentation: those of all routes, and these.

    Replaces what FastAPI says of 422, which is not what is answered here.
    """
    statuses = sorted({401, 403, 422, 503, *more})
    return {
        status: {
            "description": WHEN[status],
            "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
        }
        for status in statuses
    }


@contextmanager
def offering_reauthorization(options: Options, connection_id: UUID) -> Iterator[None]:
    """Where only the user can help, say what to call to send them.

    Raises:
        Refused: the problem, with ``reauthorize`` beside what it says.
    """
    try:
        yield
    except NeedsUser as error:
        refused = refusal_of(error)
        href = f"{options.public_url}/v1/connections/{connection_id}/reauthorize"
        refused.more["reauthorize"] = {"method": "POST", "href": href}
        raise refused from None
