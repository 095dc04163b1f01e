"""The gateway as one ASGI application, handed all it needs."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from client.codec import EncryptionCodec
from client.connections import ConnectionsClient
from gateway.bodies import ShortBodies
from gateway.codec import codec_routes
from gateway.confirming import Confirmations
from gateway.connecting import connecting_routes
from gateway.connections import connection_routes
from gateway.data import data_routes
from gateway.events import event_routes
from gateway.floods import Floods
from gateway.health import health_routes
from gateway.leases import lease_routes
from gateway.metrics import add_metrics
from gateway.options import Options
from gateway.problems import add_problems
from gateway.sessions import Sessions
from gateway.starting import starting_routes
from gateway.stopping import Farewells
from gateway.sweeping import sweeping
from storage.database import Database


def create_app(
    connections: ConnectionsClient,
    codec: EncryptionCodec,
    database: Database,
    options: Options,
) -> FastAPI:
    """The gateway. It keeps nothing: any number of them can work side by side.

    Args:
        codec: decodes for the web UI; must know no workflow.
        database: where callers, their users on the way, and what is read are.
    """
    confirmations = Confirmations(connections, database)

    @asynccontextmanager
    async def lasting() -> AsyncIterator[None]:
        async with sweeping(database), aclosing(confirmations):
            yield

    app = FastAPI(
        title="Moorline",
        summary="Durable connections to data providers.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,  # such a redirect would name scheme and host, and may lose the TLS
        lifespan=lambda _: lasting(),
    )
    add_problems(app)
    app.include_router(health_routes(database))
    app.include_router(codec_routes(codec, database, options))
    sessions = Sessions(connections, database, options, confirmations)
    floods = Floods()
    app.include_router(starting_routes(connections, sessions, confirmations, database, floods))
    app.include_router(connecting_routes(sessions, confirmations, connections, options, floods))
    app.include_router(data_routes(database))
    app.include_router(event_routes(database))
    app.include_router(connection_routes(connections, database, floods))
    app.include_router(lease_routes(connections, database, options))
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(options.ui_origins),
        allow_methods=["POST"],
        allow_headers=["content-type", "x-namespace", "authorization", "authorization-extras"],
        allow_credentials=True,
    )
    app.add_middleware(ShortBodies)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=options.hosts)
    app.add_middleware(Farewells)
    add_metrics(app, database)  # the last, hence around all others
    return app
