"""The gateway as one ASGI application, handed all it needs."""

from collections.abc import Collection

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from client.codec import EncryptionCodec
from gateway.codec import codec_routes

LOOPBACK = ("127.0.0.1", "localhost")


def create_app(
    codec: EncryptionCodec,
    *,
    ui_origins: Collection[str],
    namespaces: Collection[str],
    hosts: Collection[str] = LOOPBACK,
) -> FastAPI:
    """The gateway.

    Args:
        codec: decodes for the web UI; must know no workflow.
        ui_origins: where the web UI is served from; no other page may read an answer.
        namespaces: those whose payloads are decoded.
        hosts: names it is called by; others are turned away (DNS rebinding).
    """
    app = FastAPI(title="Moorline gateway", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(codec_routes(codec, namespaces))

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(ui_origins),
        allow_methods=["POST"],
        allow_headers=["content-type", "x-namespace", "authorization", "authorization-extras"],
        allow_credentials=True,
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    return app
