"""The codec endpoint: lets Temporal's web UI and command line show payloads in the clear.

Whoever may call it may read what workflows were told: an operator, with an API key or with a token
of the identity provider that the web UI passes on; or the web UI of a development stack, which can
hold no key and is told an address that nobody else knows. It answers the web UI's origin only and
knows its namespaces. There is no secret to be had: none is in a payload, and the one exception (a
sealed envelope) is sealed by a key that is not used here. Who has decoded how much is logged.
"""

import hmac
import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payload, Payloads

from client.codec import EncryptionCodec
from domain.errors import StorageFault
from gateway.options import Options
from gateway.security import Caller, operators_only
from storage.database import Database

log = logging.getLogger(__name__)

LONGEST_BODY = 8 << 20
MOST_PAYLOADS = 5_000


def codec_routes(codec: EncryptionCodec, database: Database, options: Options) -> APIRouter:
    """``decode`` and ``encode`` as Temporal's tools speak them, for operators and for the web UI.

    ``/codec`` asks for an API key, or for an operator's token of the identity provider there is;
    ``/codec/{token}`` is there where a token is set.
    """
    router = APIRouter(tags=["codec"], include_in_schema=False)
    operators = operators_only(database, options.identity_provider)

    async def known(token: str) -> None:
        expected = options.codec_token
        if expected is None or not hmac.compare_digest(
            token.encode(errors="replace"), expected.reveal().encode()
        ):
            raise HTTPException(404)

    async def decode(request: Request, x_namespace: Annotated[str, Header()]) -> Response:
        """Decrypt; a payload that does not open is returned as it came."""
        payloads = await _payloads(request, x_namespace)
        log.info("%d payloads decoded for %s", len(payloads), _who(request))
        return _answer([await _decoded(codec, payload) for payload in payloads])

    async def encode(request: Request, x_namespace: Annotated[str, Header()]) -> Response:
        """Encrypt what a person types into the command line. Bound to no workflow."""
        return _answer(await codec.encode(await _payloads(request, x_namespace)))

    for prefix, allowed in (("/codec", operators), ("/codec/{token}", known)):
        for name, route in (("decode", decode), ("encode", encode)):
            router.add_api_route(
                f"{prefix}/{name}", route, methods=["POST"], dependencies=[Depends(allowed)]
            )

    async def _payloads(request: Request, namespace: str) -> list[Payload]:
        if namespace not in options.namespaces:
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


def _who(request: Request) -> str:
    caller: Caller | None = getattr(request.state, "caller", None)
    return caller.key_id if caller else "one who knows the codec token"


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
