"""Who calls: an API key as a bearer token (RFC 6750), and what its role allows.

For the codec endpoint an operator's token will do as well.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.roles import Role
from domain.secret import Secret
from gateway.bodies import LONGEST
from gateway.operators import IdentityProvider, Operators
from gateway.problems import Refused
from storage import api_keys
from storage.database import Database

ALLOWED: Final = {
    Role.ADMIN: frozenset(Role),
    Role.APP: frozenset({Role.APP, Role.LEASE}),
    Role.LEASE: frozenset({Role.LEASE}),
    Role.METRICS: frozenset({Role.METRICS}),
}
"""What each role may do: its own, and that of those below it."""

DOTS_OF_A_JWT: Final = 2
_bearer = HTTPBearer(auto_error=False, description="An API key: `moorline apikeys create`.")


@dataclass(frozen=True)
class Caller:
    """Whose request it is: the id of the key, or an operator's subject, for the log; the role."""

    key_id: str
    role: Role


Guard = Callable[..., Awaitable[Caller]]
Handler = Callable[[Request], Coroutine[None, None, Response]]


def guard(database: Database, needed: Role) -> Guard:
    """A dependency that lets those in who may do what ``needed`` may.

    Raises:
        Refused: 401 without a key that is good, 403 with one that may not.
    """

    async def caller(
        request: Request,
        presented: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Caller:
        found = await identified(database, presented.credentials if presented else None)
        if needed not in ALLOWED[found.role]:
            detail = f"a key of role {found.role} may not do this"
            raise Refused(403, "forbidden", detail)
        request.state.caller = found
        return found

    return caller


def operators_only(database: Database, provider: IdentityProvider | None) -> Guard:
    """A dependency that lets operators in: by a key of role admin, or by a token of the provider.

    Raises:
        Refused: 401 or 403, as ``guard``.
        Unreachable: the identity provider does not answer.
    """
    by_key = guard(database, Role.ADMIN)
    operators = Operators(provider) if provider else None

    async def caller(
        request: Request,
        presented: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Caller:
        if operators and presented and presented.credentials.count(".") == DOTS_OF_A_JWT:
            subject = await operators.subject_of(presented.credentials)
            if subject is None:
                raise _unauthorized()
            operator = Caller(f"sub {subject!r}", Role.ADMIN)
            request.state.caller = operator
            return operator
        return await by_key(request, presented)

    return caller


def known_first(database: Database) -> type[APIRoute]:
    """Routes that read a long body of nobody whose key is not good.

    FastAPI reads and parses a body before it asks any guard.
    """

    class KnownFirst(APIRoute):
        def get_route_handler(self) -> Handler:
            handle = super().get_route_handler()

            async def handler(request: Request) -> Response:
                if int(request.headers.get("content-length", "0")) > LONGEST:
                    presented = await _bearer(request)
                    await identified(database, presented.credentials if presented else None)
                return await handle(request)

            return handler

    return KnownFirst


async def identified(database: Database, presented: str | None) -> Caller:
    """Whoever presents this key.

    Raises:
        Refused: none, unknown, wrong or revoked: the same answer for all.
    """
    row = None
    if presented:
        async with database.transaction() as session:
            row = await api_keys.verify(session, Secret(presented))
    if row is None:
        raise _unauthorized()
    return Caller(row.id, Role(row.role))


def _unauthorized() -> Refused:
    return Refused(
        401,
        "unauthorized",
        "an API key is needed, as a bearer token",
        headers={"WWW-Authenticate": "Bearer"},
    )
