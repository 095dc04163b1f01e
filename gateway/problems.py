"""Errors as problem documents (RFC 9457): a type, a status, a sentence, and what helps.

No problem ever repeats what was sent: an input may hold a key.
"""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from domain.errors import (
    Conflict,
    InvalidInput,
    MoorlineError,
    NeedsUser,
    NotConfigured,
    NotFound,
    NotFresh,
    StorageFault,
    Unreachable,
)

MEDIA_TYPE: Final = "application/problem+json"
TYPES: Final = "urn:moorline:problem:"
SOON_S: Final = 5
"""When to come again, where nobody knows better."""

KINDS: Final[Mapping[type[MoorlineError], tuple[str, int]]] = {
    InvalidInput: ("invalid-input", 422),
    NotFound: ("not-found", 404),
    Conflict: ("conflict", 409),
    NeedsUser: ("needs-user", 409),
    NotFresh: ("not-fresh", 503),
    NotConfigured: ("not-configured", 503),
    Unreachable: ("unreachable", 503),
    StorageFault: ("storage-fault", 503),
}


class Problem(BaseModel):
    """What went wrong. More fields may stand beside these, by type."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str | None = None


class Refused(Exception):
    """A request is refused as this problem.

    Args:
        kind: the last part of its type.
        more: fields beside the standard ones.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers, self.more = dict(headers or {}), more


def problem(refused: Refused) -> JSONResponse:
    """The answer to a request that is refused."""
    body = Problem.model_validate(
        {
            **refused.more,
            "type": f"{TYPES}{refused.kind}",
            "title": HTTPStatus(refused.status).phrase,
            "status": refused.status,
            "detail": refused.detail,
        }
    )
    return JSONResponse(
        body.model_dump(mode="json", exclude_none=True),
        refused.status,
        {"Cache-Control": "no-store", **refused.headers},
        MEDIA_TYPE,
    )


def refusal_of(error: MoorlineError) -> Refused:
    """What an error of ours comes to, over HTTP."""
    kind, status = next(known for each, known in KINDS.items() if isinstance(error, each))
    headers: dict[str, str] = {}
    more: dict[str, object] = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(_seconds(getattr(error, "retry_in", None)))
    if isinstance(error, NotFresh) and error.retry_at is not None:
        more["retry_at"] = error.retry_at
    if isinstance(error, NeedsUser):
        more |= {"connection_status": error.status, "reason": error.reason}
    return Refused(status, kind, str(error), headers=headers, **more)


def add_problems(app: FastAPI) -> None:
    """Have every error answered as a problem document."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        return problem(error)

    @app.exception_handler(MoorlineError)
    async def ours(_: Request, error: MoorlineError) -> JSONResponse:
        return problem(refusal_of(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        found = [
            {"at": ".".join(str(part) for part in each["loc"]), "problem": _said(each)}
            for each in error.errors()
        ]
        detail = "the request does not fit; `errors` says where"
        return problem(Refused(422, "invalid-input", detail, errors=found))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return problem(Refused(error.status_code, kind, error.detail, headers=error.headers))

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        detail = "something went wrong here; the log of the gateway says what"
        return problem(Refused(500, "internal", detail))


def _said(found: Mapping[str, str]) -> str:
    # The one message of pydantic that repeats what was sent.
    return "no such kind" if found["type"] == "union_tag_invalid" else found["msg"]


def _seconds(wait: timedelta | None) -> int:
    return SOON_S if wait is None else max(1, round(wait.total_seconds()))
