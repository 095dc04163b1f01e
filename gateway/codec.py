"""The codec endpoint: lets Temporal's web UI and command line show payloads in the clear.

Whoever may call it may read what workflows were told, so it listens on loopback, answers the web
UI's origin only, and knows its namespaces. There is no secret to be had: none is in a payload, and
the one exception (a sealed envelope) is sealed by a key that is not here.
"""

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Request, Response
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payload, Payloads

from client.codec import EncryptionCodec
from domain.errors import StorageFault

LONGEST_BODY = 8 << 20
MOST_PAYLOADS = 5_000


def codec_routes(codec: EncryptionCodec, namespaces: Collection[str]) -> APIRouter:
    """``POST /decode`` and ``POST /encode`` as Temporal's tools speak them."""
    router = APIRouter(tags=["codec"])

    @router.post("/decode")
    async def decode(request: Request, x_namespace: Annotated[str, Header()]) -> Response:
        """Decrypt; a payload that does not open is returned as it came."""
        payloads = await _payloads(request, x_namespace)
        return _answer([await _decoded(codec, payload) for payload in payloads])

    @router.post("/encode")
    async def encode(request: Request, x_namespace: Annotated[str, Header()]) -> Response:
        """Encrypt what a person types into the command line. Bound to no workflow."""
        return _answer(await codec.encode(await _payloads(request, x_namespace)))

    async def _payloads(request: Request, namespace: str) -> list[Payload]:
        if namespace not in namespaces:
            raise HTTPException(403, "unknown namespace")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise HTTPException(415, "application/json is expected")
        parsed = Payloads()
        try:
            Parse(await _body(request), parsed)
        except (ParseError, UnicodeDecodeError):
            raise HTTPException(400, "payloads are expected") from None
        if len(parsed.payloads) > MOST_PAYLOADS:
            raise HTTPException(413, "too many payloads")
        return list(parsed.payloads)

    return router


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise HTTPException(413, "the body is too large")
    return bytes(body)


async def _decoded(codec: EncryptionCodec, payload: Payload) -> Payload:
    try:
        return (await codec.decode([payload]))[0]
    except StorageFault:
        return payload


def _answer(payloads: list[Payload]) -> Response:
    return Response(MessageToJson(Payloads(payloads=payloads)), media_type="application/json")
