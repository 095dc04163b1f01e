"""The control API, by which tests and the demo steer the sandbox and look behind its curtain.

JSON in and out, for loopback only; nothing of it exists at a real provider. A body needs the
content type application/json (which keeps other web pages out); a wrong one answers 422 with
`{"error": "invalid", "details": [...]}`, an unknown id 404.

Clients
    PUT /_sandbox/clients/{client_id}            {"secret"?, "name"?, "redirect_uris", "behaviour"?}
        Create or replace; without a secret it is a public client.
    PATCH /_sandbox/clients/{client_id}/behaviour  {any fields of `Behaviour`}
    PATCH /_sandbox/clients/{client_id}/secret     {"secret"}
        What an operator does who rotates the secret at the provider and forgets the app.
    Each answers {"client_id", "name", "redirect_uris", "behaviour"}.

Grants
    POST /_sandbox/grants     {"client_id", "user", "scope"?, "access_expired"?}
        A grant as if the user had gone through the browser; answers the token answer + "grant_id".
    POST /_sandbox/authorize  {"url", "user", "decision": "allow" | "deny"}
        Login and consent for an authorization URL, judged by the same code as the pages; answers
        {"redirect"}, or 400 {"error"} where a browser would be shown an error page.
    GET /_sandbox/grants, GET /_sandbox/grants/{id}   the facts in `grants.Grant`; no tokens
    DELETE /_sandbox/grants/{id}   the user takes access away, as on the account page

Faults
    POST /_sandbox/faults  {"endpoint": "token" | "revoke" | "api", "kind", "times"?, "when"?,
                            "client_id"?, "grant_id"?, "grant_type"?, ...}; answers {"id"}
        `times` counts calls (1 by default, null = until cleared). `when` is "before_acting" (the
        default) or "after_acting": it acts as ever, and what the client learns of it is spoiled.
        The oldest fault that fits a call strikes it. The kinds and their fields:
        status      status, body? (JSON, or text if a string), headers?
        rate_limit  retry_after?: 429 with this Retry-After, whatever it says
        redirect    location, status? (307)
        html        status? (403): a page as a proxy or firewall answers
        delay       seconds; then goes on normally. Before acting, it acts even if the client left.
        hang        until the client leaves, the fault is cleared (goes on) or the server stops
        drop        closes the connection without an answer; "reset": true sends a TCP reset
        truncate    acts; full Content-Length, half of the body, then closes
        answer      acts; "patch" is merged into the JSON answer (null takes a field out), or "raw"
                    replaces it ("$access_token" and so on are filled in), with "media_type"?
    GET /_sandbox/faults          {"faults": [{"id", "struck", "spent", ...}]}
    DELETE /_sandbox/faults[/{id}]  clears, and releases what delay and hang hold

What users own, and their keys: see `control_finances`.

Ground truth
    GET /_sandbox/log?after=SEQ&grant_id=&endpoint=   {"entries": [`ledger.Entry`, ...]}
"""

import time
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .authorization import SCOPE, AuthorizationRequest, SentBack, Unanswerable
from .behaviour import Behaviour
from .clients import Client, Registration
from .families import Families
from .faults import any_fault
from .sandbox import Sandbox
from .sessions import User

T = TypeVar("T")
patch_of_behaviour = TypeAdapter(dict[str, JsonValue])


class Instruction(BaseModel):
    """A body; what it holds is not repeated in errors, for it may be a secret."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NewSecret(Instruction):
    secret: Annotated[str, Field(min_length=1)]


class Mint(Instruction):
    client_id: str
    user: User
    scope: Annotated[str, Field(pattern=rf"^(?:{SCOPE.pattern})$")] = "profile"
    access_expired: bool = False


class Walk(Instruction):
    url: str
    user: User
    decision: Literal["allow", "deny"]


class Invalid(Exception):
    """A body that is not what the module's documentation asks for."""

    def __init__(self, details: list[str]) -> None:
        super().__init__("invalid")
        self.details = details


async def invalid(_request: Request, problem: Exception) -> Response:
    details = problem.details if isinstance(problem, Invalid) else []
    return JSONResponse({"error": "invalid", "details": details}, 422)


async def read(request: Request, wanted: TypeAdapter[T]) -> T:
    """The body of an instruction.

    Raises:
        Invalid: it is not what is wanted.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Invalid(["the content type is not application/json"])
    try:
        return wanted.validate_json(await request.body())
    except ValidationError as error:
        raise Invalid(_details(error)) from None


def _details(error: ValidationError) -> list[str]:
    return [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]


class Control:
    """The endpoints below `/_sandbox`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        return [
            Route("/clients/{client_id}", self.put_client, methods=["PUT"]),
            Route("/clients/{client_id}/behaviour", self.patch_behaviour, methods=["PATCH"]),
            Route("/clients/{client_id}/secret", self.patch_secret, methods=["PATCH"]),
            Route("/grants", self.mint, methods=["POST"]),
            Route("/grants", self.list_grants),
            Route("/grants/{id}", self.get_grant),
            Route("/grants/{id}", self.take_away, methods=["DELETE"]),
            Route("/authorize", self.walk, methods=["POST"]),
            Route("/faults", self.plant, methods=["POST"]),
            Route("/faults", self.list_faults),
            Route("/faults", self.clear_all, methods=["DELETE"]),
            Route("/faults/{id}", self.clear, methods=["DELETE"]),
            Route("/log", self.log),
        ]

    async def put_client(self, request: Request) -> Response:
        registration = await read(request, TypeAdapter(Registration))
        client_id = str(request.path_params["client_id"])
        self._sandbox.clients.register(client_id, registration)
        return self._described(client_id)

    async def patch_behaviour(self, request: Request) -> Response:
        client = self._client(str(request.path_params["client_id"]))
        patch = await read(request, patch_of_behaviour)
        try:
            behaviour = Behaviour.model_validate({**client.behaviour.model_dump(), **patch})
        except ValidationError as error:
            raise Invalid(_details(error)) from None
        self._sandbox.clients.behave(client.client_id, behaviour)
        return self._described(client.client_id)

    async def patch_secret(self, request: Request) -> Response:
        client = self._client(str(request.path_params["client_id"]))
        new = await read(request, TypeAdapter(NewSecret))
        self._sandbox.clients.change_secret(client.client_id, new.secret)
        return self._described(client.client_id)

    async def mint(self, request: Request) -> Response:
        asked = await read(request, TypeAdapter(Mint))
        client = self._client(asked.client_id)
        families = Families(self._sandbox.grants, client, time.time())
        with self._sandbox.store.transaction():
            grant_id, issued = families.begin(asked.user, asked.scope, expired=asked.access_expired)
        return JSONResponse({**issued.payload(client.behaviour), "grant_id": grant_id}, 201)

    async def walk(self, request: Request) -> Response:
        asked = await read(request, TypeAdapter(Walk))
        query, issuer = urlsplit(asked.url).query, self._sandbox.issuer_at(str(request.base_url))
        try:
            authorization = AuthorizationRequest.read(self._sandbox, query, issuer)
        except Unanswerable as problem:
            return JSONResponse({"error": str(problem)}, 400)
        except SentBack as back:
            return JSONResponse({"redirect": back.location})
        allow = asked.decision == "allow"
        return JSONResponse(
            {"redirect": authorization.decide(self._sandbox, asked.user, allow=allow)}
        )

    async def list_grants(self, _request: Request) -> Response:
        grants = self._sandbox.grants.all(time.time())
        return JSONResponse({"grants": [grant.model_dump() for grant in grants]})

    async def get_grant(self, request: Request) -> Response:
        grant = self._sandbox.grants.get(str(request.path_params["id"]), time.time())
        if grant is None:
            raise HTTPException(404)
        return JSONResponse(grant.model_dump())

    async def take_away(self, request: Request) -> Response:
        self._sandbox.grants.end(str(request.path_params["id"]), "user", time.time())
        return await self.get_grant(request)

    async def plant(self, request: Request) -> Response:
        fault = await read(request, any_fault)
        return JSONResponse({"id": self._sandbox.faults.plant(fault)}, 201)

    async def list_faults(self, _request: Request) -> Response:
        return JSONResponse(
            {"faults": [planted.described() for planted in self._sandbox.faults.all()]}
        )

    async def clear(self, request: Request) -> Response:
        if not self._sandbox.faults.clear(str(request.path_params["id"])):
            raise HTTPException(404)
        return Response(status_code=204)

    async def clear_all(self, _request: Request) -> Response:
        for planted in self._sandbox.faults.all():
            self._sandbox.faults.clear(planted.id)
        return Response(status_code=204)

    async def log(self, request: Request) -> Response:
        query = request.query_params
        try:
            after = int(query.get("after", "0"))
        except ValueError:
            raise Invalid(["after: not a number"]) from None
        entries = self._sandbox.ledger.entries(after, query.get("grant_id"), query.get("endpoint"))
        return JSONResponse({"entries": [entry.model_dump() for entry in entries]})

    def _client(self, client_id: str) -> Client:
        client = self._sandbox.clients.find(client_id)
        if client is None:
            raise HTTPException(404)
        return client

    def _described(self, client_id: str) -> Response:
        client = self._client(client_id)
        return JSONResponse(client.model_dump(exclude={"secret_digest"}))
