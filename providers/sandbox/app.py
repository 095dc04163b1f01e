"""The sandbox as an ASGI application: which address leads where.

Holds no rules. Must be run by `serving` where faults are to close connections.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from .control import Control, Invalid, invalid
from .control_finances import FinancesControl
from .endpoints import RevokeCall, TokenCall
from .pages import Pages
from .resources import AccountsCall, HoldingsCall, MeCall, TransactionsCall
from .sandbox import Sandbox

METADATA = "/.well-known/oauth-authorization-server"
BODY_LIMIT = 64 * 1024
PLACES = ("/api", "/broker", "/linked", "/mutual")


def create_app(state: Path | None, issuer: str | None = None) -> Starlette:
    """The sandbox with its state in a folder, or in memory; the issuer as requests address it."""
    sandbox = Sandbox.open(state, issuer)
    pages = Pages(sandbox)

    async def metadata(request: Request) -> Response:
        return JSONResponse(metadata_of(sandbox.issuer_at(str(request.base_url))))

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        sandbox.store.close()

    routes = [
        Route(METADATA, metadata),
        Route("/authorize", pages.authorize, methods=["GET", "POST"]),
        Route("/token", TokenCall(sandbox), methods=["POST"]),
        Route("/revoke", RevokeCall(sandbox), methods=["POST"]),
        Route("/account", pages.account, methods=["GET", "POST"]),
        Route("/account/transactions.csv", pages.export, methods=["GET"]),
        *(Mount(place, routes=data_routes(sandbox)) for place in PLACES),
        Mount("/_sandbox", routes=[*Control(sandbox).routes(), *FinancesControl(sandbox).routes()]),
        Route("/healthz", healthz),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={Invalid: invalid},
        max_body_size=BODY_LIMIT,
    )
    app.state.closing = sandbox.closing
    app.state.authority = sandbox.authority
    return app


def data_routes(sandbox: Sandbox) -> list[Route]:
    """What a token or a key opens."""
    return [
        Route("/me", MeCall(sandbox), methods=["GET"]),
        Route("/accounts", AccountsCall(sandbox), methods=["GET"]),
        Route("/accounts/{account_id}/holdings", HoldingsCall(sandbox), methods=["GET"]),
        Route("/accounts/{account_id}/transactions", TransactionsCall(sandbox), methods=["GET"]),
    ]


def metadata_of(issuer: str) -> dict[str, object]:
    """RFC 8414, with RFC 9207's promise that answers carry `iss`."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "revocation_endpoint": f"{issuer}/revoke",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "none",
        ],
        "revocation_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "none",
        ],
        "authorization_response_iss_parameter_supported": True,
    }
