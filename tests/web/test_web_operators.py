"""Operators come with a token of their identity provider; every other token is turned away."""

import asyncio
import base64
import hmac
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, Response

from gateway.operators import IdentityProvider
from moorline.listening import listen, serving
from moorline.stack.ports import free_ports
from tests.web.gateway import Web, gateway_of
from tests.web.test_web_codec import HERE, PLAIN, body_of, sealed
from tests.world import Servers, new_world, until

ISSUER, AUDIENCE = "https://id.example", "moorline-codec"


@dataclass
class Issuer:
    """An identity provider with one key, which counts how often it is asked for it."""

    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    asked: int = 0
    away: bool = False
    page: bool = False
    silent: asyncio.Event | None = None

    def token(self, key: Any = None, algorithm: str = "RS256", **changes: object) -> str:
        claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "alice",
            "exp": time.time() + 300,
            "groups": ["staff", "operators"],
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key or self.key, algorithm, headers={"kid": "one"})

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/jwks")
        async def jwks() -> Response:
            self.asked += 1
            if self.silent:
                await self.silent.wait()
            if self.page:
                return HTMLResponse("<html>Back soon</html>")
            if self.away:
                return JSONResponse({}, 503)
            public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            return JSONResponse({"keys": [{**public, "kid": "one", "use": "sig"}]})

        return app


@dataclass
class Ground:
    web: Web
    issuer: Issuer


@pytest.fixture
async def ground(servers: Servers, tmp_path: Path) -> AsyncIterator[Ground]:
    issuer, (port,) = Issuer(), free_ports(1)
    provider = IdentityProvider(
        ISSUER, AUDIENCE, f"http://127.0.0.1:{port}/jwks", "groups", "operators"
    )
    async with (
        new_world(servers, tmp_path) as world,
        serving(issuer.app(), listen("127.0.0.1", port)),
        gateway_of(world, working=False, identity_provider=provider) as web,
    ):
        yield Ground(web, issuer)


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


async def decode(ground: Ground, token: str) -> tuple[int, object]:
    answer = await ground.web.anyone.post(
        "/codec/decode",
        json=body_of(await sealed(ground.web)),
        headers={**HERE, "authorization": f"Bearer {token}"},
    )
    return answer.status_code, answer.json()


async def test_an_operator_decodes_with_a_token_of_the_identity_provider(ground: Ground) -> None:
    assert await decode(ground, ground.issuer.token()) == (200, body_of(PLAIN))
    assert await decode(ground, ground.issuer.token(groups="operators")) == (200, body_of(PLAIN))
    by_key = await ground.web.admin.post("/codec/decode", json=body_of(PLAIN), headers=HERE)
    assert by_key.status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"iss": f"{ISSUER}/"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"groups": ["staff"]},
        {"groups": None},
        {"groups": "operators-of-another"},
        {"nbf": 4_000_000_000},
    ],
    ids=str,
)
async def test_a_token_that_says_anything_else_is_turned_away(
    ground: Ground, changes: dict[str, Any]
) -> None:
    """Expired, of another issuer, for another audience, of nobody who is an operator."""
    status, _ = await decode(ground, ground.issuer.token(**changes))
    assert status == 401


async def test_a_token_that_is_not_signed_by_the_issuer_is_turned_away(ground: Ground) -> None:
    """Unsigned, by another key, or by the public key taken for a shared secret."""
    issuer = ground.issuer
    public = issuer.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    good = issuer.token()
    head, body, signature = good.split(".")
    none = encoded(b'{"alg":"none","kid":"one"}')
    hs256 = encoded(b'{"alg":"HS256","kid":"one"}')
    shared = f"{hs256}.{body}"
    for forged in (
        issuer.token(key=rsa.generate_private_key(65537, 2048)),
        issuer.token(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        f"{shared}.{encoded(hmac.digest(public, shared.encode(), 'sha256'))}",
        f"{none}.{body}.",
        f"{none}.{body}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        "a.b.c",
        "..",
    ):
        assert (await decode(ground, forged))[0] == 401, forged


async def test_tokens_of_unknown_keys_do_not_make_us_ask_the_issuer_each_time(
    ground: Ground,
) -> None:
    foreign = jwt.encode({"sub": "x"}, ground.issuer.key, "RS256", headers={"kid": "unknown"})
    for _ in range(5):
        assert (await decode(ground, foreign))[0] == 401
    assert ground.issuer.asked == 1


async def test_where_the_identity_provider_is_away_it_is_said_and_nobody_is_let_in(
    ground: Ground,
) -> None:
    ground.issuer.away = True
    status, _ = await decode(ground, ground.issuer.token())
    assert status == 503
    ground.issuer.away = False

    async def is_let_in() -> bool:
        return (await decode(ground, ground.issuer.token()))[0] == 200

    await until(is_let_in)


async def test_a_page_where_the_keys_should_be_is_no_fault_of_ours(ground: Ground) -> None:
    """It was answered 500, as proxies' pages of maintenance are no JSON."""
    ground.issuer.page = True
    assert (await decode(ground, ground.issuer.token()))[0] == 503


async def test_an_issuer_that_keeps_silent_is_asked_once_however_many_come(ground: Ground) -> None:
    """Anyone could take all threads there are, which databases' names are looked up by, too."""
    ground.issuer.silent, ground.issuer.away = asyncio.Event(), True
    token = jwt.encode({"sub": "x"}, ground.issuer.key, "RS256", headers={"kid": "any"})
    callers = [asyncio.ensure_future(decode(ground, token)) for _ in range(20)]

    async def is_asked() -> bool:
        return ground.issuer.asked == 1

    await until(is_asked)
    ground.issuer.silent.set()
    assert {status for status, _ in await asyncio.gather(*callers)} == {503}
    assert ground.issuer.asked == 1


async def test_a_token_opens_nothing_but_the_codec_endpoint(ground: Ground) -> None:
    token = ground.issuer.token()
    answer = await ground.web.anyone.get(
        "/v1/connections", headers={"authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 401


async def test_without_an_identity_provider_no_token_is_taken(web_without_worker: Web) -> None:
    answer = await web_without_worker.anyone.post(
        "/codec/decode",
        json=body_of(PLAIN),
        headers={**HERE, "authorization": f"Bearer {Issuer().token()}"},
    )
    assert answer.status_code == 401


async def test_who_has_decoded_is_logged_in_one_line(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever their subject is: it could have begun another line."""
    with caplog.at_level(logging.INFO, "gateway.codec"):
        await decode(ground, ground.issuer.token(sub="mallory\n1 payloads decoded for alice"))
        await ground.web.admin.post("/codec/decode", json=body_of(PLAIN), headers=HERE)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("1 payloads decoded for sub 'mallory\\n1 payloads")
    assert "\n" not in first
    assert second.startswith("1 payloads decoded for ")
