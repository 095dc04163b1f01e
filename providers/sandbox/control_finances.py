"""The part of the control API that is about what users own, and the keys they make.

POST /_sandbox/keys               {"user", "kind"?: "key" or "link"}; answers 201 {"key_id",
    "api_key"}: a key of the broker, or a link token
DELETE /_sandbox/keys/{key_id}    the user deletes it; 204
POST /_sandbox/certificates       {"user", "lifetime_s"?}; answers 201 {"certificate_id",
    "client_certificate", "private_key", "authority"}: for the listener with mutual TLS
DELETE /_sandbox/certificates/{certificate_id}  it is revoked; 204
POST /_sandbox/users/{user}/transactions  {"count", "account_id"?}: so many more, in each
    account or in one; 204
GET /_sandbox/users/{user}/finances   ground truth: {"accounts": [{"id", "currency", "balance",
    "transactions": count, "sum", "holdings": count, "value"}]}; money as decimal strings
"""

import time
from datetime import timedelta
from typing import Annotated

from pydantic import Field, TypeAdapter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .control import Instruction, read
from .keys import Kind
from .sandbox import Sandbox
from .sessions import USERS, User

MOST = 100_000


class NewKey(Instruction):
    user: User
    kind: Kind = "key"


class NewCertificate(Instruction):
    user: User
    lifetime_s: Annotated[int, Field(ge=1, le=31_536_000)] = 31_536_000


class Grow(Instruction):
    count: Annotated[int, Field(ge=1, le=MOST)]
    account_id: str | None = None


class FinancesControl:
    """These endpoints."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        return [
            Route("/keys", self.new_key, methods=["POST"]),
            Route("/keys/{key_id}", self.revoke_key, methods=["DELETE"]),
            Route("/certificates", self.new_certificate, methods=["POST"]),
            Route("/certificates/{id}", self.revoke_certificate, methods=["DELETE"]),
            Route("/users/{user}/transactions", self.grow, methods=["POST"]),
            Route("/users/{user}/finances", self.truth),
        ]

    async def new_key(self, request: Request) -> Response:
        asked = await read(request, TypeAdapter(NewKey))
        key_id, key = self._sandbox.keys.create(asked.user, asked.kind)
        return JSONResponse({"key_id": key_id, "api_key": key}, 201)

    async def revoke_key(self, request: Request) -> Response:
        self._sandbox.keys.revoke(str(request.path_params["key_id"]))
        return Response(status_code=204)

    async def new_certificate(self, request: Request) -> Response:
        asked = await read(request, TypeAdapter(NewCertificate))
        authority = self._sandbox.authority
        issued = authority.issue(asked.user, timedelta(seconds=asked.lifetime_s))
        answer = {
            "certificate_id": issued.id,
            "client_certificate": issued.certificate,
            "private_key": issued.private_key,
            "authority": authority.pem,
        }
        return JSONResponse(answer, 201)

    async def revoke_certificate(self, request: Request) -> Response:
        self._sandbox.authority.revoke(str(request.path_params["id"]))
        return Response(status_code=204)

    async def grow(self, request: Request) -> Response:
        asked = await read(request, TypeAdapter(Grow))
        with self._sandbox.store.transaction():
            self._sandbox.finances.grow(_user(request), asked.count, time.time(), asked.account_id)
        return Response(status_code=204)

    async def truth(self, request: Request) -> Response:
        with self._sandbox.store.transaction():
            accounts = self._sandbox.finances.truth(_user(request), time.time())
        return JSONResponse({"accounts": accounts})


def _user(request: Request) -> str:
    user = str(request.path_params["user"])
    if user not in USERS:
        raise HTTPException(404)
    return user
