"""The codec endpoint: payloads in the clear for operators and for the web UI, and for nobody else.

The endpoint of the web UI is an address that nobody else knows; the other asks for an admin's key.
"""

import asyncio
import base64
import json
from urllib.parse import urlsplit

import httpx
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

from client.codec import EncryptionCodec
from gateway.codec import LONGEST_BODY, MOST_PAYLOADS
from storage.keyring import Keyring, new_key
from tests.web.gateway import UI, Web

HERE = {"x-namespace": "default", "content-type": "application/json"}
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"hello":"you"}')
FOREIGN = Payload(metadata={"encoding": b"binary/somebody-elses"}, data=b"\x00\xff")
EVIL = "https://evil.example"


def address(web: Web) -> str:
    """The endpoint as a development stack's web UI is told it."""
    assert web.options.codec_token is not None
    return f"/codec/{web.options.codec_token.reveal()}"


def body_of(*payloads: Payload) -> dict[str, list[dict[str, object]]]:
    def encoded(value: bytes) -> str:
        return base64.b64encode(value).decode()

    return {
        "payloads": [
            {
                "metadata": {name: encoded(value) for name, value in payload.metadata.items()},
                "data": encoded(payload.data),
            }
            for payload in payloads
        ]
    }


async def sealed(web: Web) -> Payload:
    """What Temporal keeps of a payload of some workflow."""
    context = WorkflowSerializationContext(namespace="default", workflow_id="a")
    (payload,) = await web.world.codec.with_context(context).encode([PLAIN])
    return payload


async def test_it_decodes_for_the_web_ui_and_for_an_operator(web_without_worker: Web) -> None:
    web = web_without_worker
    asked = body_of(await sealed(web))
    for caller, prefix in ((web.anyone, address(web)), (web.admin, "/codec")):
        answer = await caller.post(
            f"{prefix}/decode?preserveStorageRefs=true",
            json=asked,
            headers={**HERE, "origin": UI},
        )
        assert answer.json() == body_of(PLAIN)
        assert answer.headers["access-control-allow-origin"] == UI


async def test_what_it_encodes_it_decodes(web_without_worker: Web) -> None:
    web = web_without_worker
    encoded = await web.admin.post("/codec/encode", json=body_of(PLAIN), headers=HERE)
    assert encoded.json() != body_of(PLAIN)
    decoded = await web.admin.post("/codec/decode", json=encoded.json(), headers=HERE)
    assert decoded.json() == body_of(PLAIN)


async def test_what_does_not_open_is_returned_as_it_came(web_without_worker: Web) -> None:
    web = web_without_worker
    other = EncryptionCodec(Keyring.parse(new_key("other"), "keys"), required=False)
    (closed,) = await other.encode([PLAIN])
    passed = body_of(closed, PLAIN, FOREIGN)
    answer = await web.anyone.post(f"{address(web)}/decode", json=passed, headers=HERE)
    assert answer.json() == passed


@pytest.mark.parametrize("operation", ["decode", "encode"])
async def test_only_an_admins_key_opens_it(web_without_worker: Web, operation: str) -> None:
    web = web_without_worker
    refusals = {
        401: [web.anyone],
        403: [web.app, web.lease, web.metrics],
        200: [web.admin],
    }
    for status, callers in refusals.items():
        for caller in callers:
            answer = await caller.post(f"/codec/{operation}", json=body_of(), headers=HERE)
            assert answer.status_code == status
    wrong = {**HERE, "authorization": "Bearer moorline_nobody_nothing"}
    answer = await web.anyone.post(f"/codec/{operation}", json=body_of(), headers=wrong)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("token", ["wrong", "a-token-of-a-tes", "%F0%9F%94%91", "%00", "x" * 9_000])
async def test_a_wrong_token_is_not_found_even_with_a_key(
    web_without_worker: Web, token: str
) -> None:
    for caller in (web_without_worker.anyone, web_without_worker.admin):
        answer = await caller.post(f"/codec/{token}/decode", json=body_of(), headers=HERE)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"x-namespace": "other"}, b"{}", 403),
        ({}, b"{}", 422),
        ({"x-namespace": "default", "content-type": "text/plain"}, b"{}", 415),
        ({"x-namespace": "default"}, b"not json", 400),
        ({"x-namespace": "default"}, b"[1]", 400),
        ({"x-namespace": "default"}, b" " * (LONGEST_BODY + 1), 413),
        ({"x-namespace": "default", "host": "evil.example"}, b"{}", 400),
    ],
)
async def test_it_refuses_what_is_not_for_it(
    web_without_worker: Web, headers: dict[str, str], content: bytes, status: int
) -> None:
    web = web_without_worker
    sent = {"content-type": "application/json", **headers}
    for caller, prefix in ((web.anyone, address(web)), (web.admin, "/codec")):
        answer = await caller.post(f"{prefix}/decode", content=content, headers=sent)
        assert answer.status_code == status


async def test_a_body_of_50_megabytes_is_refused_before_it_is_there(
    web_without_worker: Web,
) -> None:
    """A length is announced and no more sent than may be: the answer comes all the same."""
    web = web_without_worker
    base = urlsplit(web.options.public_url)
    reader, writer = await asyncio.open_connection(base.hostname, base.port)
    head = {**HERE, "host": base.netloc, "content-length": str(50 << 20)}
    lines = [f"POST {address(web)}/decode HTTP/1.1", *(f"{k}: {v}" for k, v in head.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + b" " * (LONGEST_BODY + 1))
    async with asyncio.timeout(30):
        assert (await reader.readline()).split()[1] == b"413"
    writer.close()


async def test_no_more_payloads_are_taken_than_a_page_shows(web_without_worker: Web) -> None:
    web = web_without_worker
    for count, status in ((MOST_PAYLOADS, 200), (MOST_PAYLOADS + 1, 413), (10**5, 413)):
        content = json.dumps({"payloads": [{}] * count}).encode()
        answer = await web.anyone.post(f"{address(web)}/decode", content=content, headers=HERE)
        assert answer.status_code == status


def preflight_of(origin: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-namespace",
    }


async def test_no_other_page_may_read_what_it_answers(web_without_worker: Web) -> None:
    web = web_without_worker
    path = f"{address(web)}/decode"
    answers: list[httpx.Response] = []
    for origin in (EVIL, "null", f"{UI}.evil.example"):
        answers += [
            await web.anyone.options(path, headers=preflight_of(origin)),
            await web.anyone.post(path, json=body_of(), headers={**HERE, "origin": origin}),
        ]
    assert all("access-control-allow-origin" not in answer.headers for answer in answers)
    allowed = await web.anyone.options(path, headers=preflight_of(UI))
    assert allowed.headers["access-control-allow-origin"] == UI


async def test_credentials_are_never_for_every_origin(web_without_worker: Web) -> None:
    web = web_without_worker
    for origin in (UI, EVIL):
        sent = {**HERE, "origin": origin, "cookie": "a=b"}
        for caller, path in ((web.anyone, f"{address(web)}/decode"), (web.admin, "/codec/decode")):
            answer = await caller.post(path, json=body_of(), headers=sent)
            assert answer.headers.get("access-control-allow-origin") in {None, UI}
