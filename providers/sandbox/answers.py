"""What goes back over the wire, as a value: decided first, sent (or spoiled by a fault) later.

Holds the error answers of RFC 6749 section 5.2. Sends nothing itself.
"""

import json
from dataclasses import dataclass, field, replace

from pydantic import JsonValue
from starlette.responses import Response

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True)
class Answer:
    """Status, headers and a body that is JSON, or raw text where a fault wants it so."""

    status: int = 200
    payload: dict[str, JsonValue] | None = None
    raw: str | None = None
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        if self.raw is not None:
            return self.raw.encode()
        return b"" if self.payload is None else json.dumps(self.payload).encode()

    def patched(self, patch: dict[str, JsonValue]) -> "Answer":
        """The same answer with the fields of `patch` put in, those that are None taken out."""
        merged = {**(self.payload or {}), **patch}
        kept = {name: value for name, value in merged.items() if patch.get(name, value) is not None}
        return replace(self, payload=kept)

    def response(self) -> Response:
        body = self.body
        media_type = self.media_type if body else None
        return Response(body, self.status, {**NO_STORE, **self.headers}, media_type)


class Refused(Exception):
    """A request turned down before anything was changed: an OAuth error code and a sentence."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status


def error_answer(
    error: str, description: str, status: int = 400, subtype: str | None = None
) -> Answer:
    """An RFC 6749 error; 401 names the scheme the client may use, as HTTP demands."""
    payload: dict[str, JsonValue] = {"error": error, "error_description": description}
    if subtype is not None:
        payload["error_subtype"] = subtype
    headers = {"WWW-Authenticate": 'Basic realm="sandbox"'} if status == 401 else {}
    return Answer(status, payload, headers=headers)
