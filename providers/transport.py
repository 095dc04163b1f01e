"""One request, sent at most once, and an honest account of what became of it.

After a token request the question is not only "what did they answer" but "may they have acted":
so this module tells apart what was never sent, what was answered in full, and everything between.
It follows no redirect, retries nothing, keeps no connection (a stale one would turn "never sent"
into "who knows") and no cookie (one user's must not go with another's token), reads no proxy from
the environment, and stops reading after 1 MiB, unpacked.
"""

import asyncio
import ssl
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

LONGEST_BODY = 1 << 20
CONNECT_TIMEOUT = timedelta(seconds=5)
REFUSED_IN_TLS = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_UNKNOWN_CA",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    }
)
"""Alerts about a client's certificate (RFC 8446, section 6.2), as OpenSSL calls them."""
_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32


@dataclass(frozen=True)
class Reply:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_page(self) -> bool:
        """Whether this is a page for people: a proxy's, or one about maintenance, as a rule."""
        kind = self.headers.get("content-type", "").strip().lower()
        return kind.startswith("text/html") and bool(self.body.strip())


@dataclass(frozen=True)
class NoReply:
    """No complete answer. ``sent``: whether any byte of the request may have left.

    ``refused``: the other side ended the TLS handshake because of the certificate we showed.
    """

    sent: bool
    refused: bool = False


class _TooLate(Exception):
    """The caller withdrew permission in the moment before the first byte."""


def new_http_client(tls: ssl.SSLContext | bool = True) -> httpx.AsyncClient:
    """The client every provider is called with; close it when done.

    Args:
        tls: whom it trusts, and what it shows of itself.
    """
    return httpx.AsyncClient(
        verify=tls,
        follow_redirects=False,
        trust_env=False,
        limits=httpx.Limits(max_keepalive_connections=0),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"accept": "application/json", "accept-encoding": "identity"},
    )


async def post_form(
    http: httpx.AsyncClient,
    url: str,
    form: Mapping[str, str],
    *,
    headers: Mapping[str, str],
    within: timedelta,
    may_send: Callable[[], bool] = lambda: True,
) -> Reply | NoReply:
    """POST a form once, all of it ``within`` a time: connecting, sending, reading the answer.

    ``may_send`` is asked when the connection stands, directly before the first byte of the
    request: a process that was frozen on the way here can still hold back.
    """
    try:
        request = http.build_request("POST", url, data=dict(form), headers=dict(headers))
    except UnicodeError:
        return NoReply(sent=False)  # a secret that no header can carry
    return await _send(http, request, within, may_send)


async def get(
    http: httpx.AsyncClient,
    url: str,
    *,
    headers: Mapping[str, str],
    within: timedelta,
    params: Mapping[str, str] | None = None,
) -> Reply | NoReply:
    """GET once, all of it ``within`` a time; ``params`` are added to the query."""
    try:
        request = http.build_request("GET", url, params=params or None, headers=dict(headers))
    except UnicodeError:
        return NoReply(sent=False)  # a secret that no header can carry
    return await _send(http, request, within, lambda: True)


async def _send(
    http: httpx.AsyncClient,
    request: httpx.Request,
    within: timedelta,
    may_send: Callable[[], bool],
) -> Reply | NoReply:
    sent = False

    async def trace(event: str, _info: object) -> None:
        nonlocal sent
        if event.endswith("send_request_headers.started"):
            if not may_send():
                raise _TooLate
            sent = True

    timeout = httpx.Timeout(within.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds())
    request.extensions |= {"timeout": timeout.as_dict(), "trace": trace}
    try:
        async with asyncio.timeout(within.total_seconds()):
            response = await http.send(request, stream=True)
            try:
                body = await _read(response)
            finally:
                await response.aclose()
    except (httpx.HTTPError, _TooLate, TimeoutError) as error:
        return NoReply(sent=sent, refused=_is_of_our_certificate(error))
    if body is None:
        return NoReply(sent=True)
    return Reply(response.status_code, response.headers, body)


def _is_of_our_certificate(error: BaseException) -> bool:
    """Whether the other side says, in TLS itself, that it does not take the one we showed."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLError) and getattr(found, "reason", None) in REFUSED_IN_TLS:
            return True
        found = found.__cause__ or found.__context__
    return False


async def _read(response: httpx.Response) -> bytes | None:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LONGEST_BODY:
            return None
    return _unpacked(bytes(body), response.headers.get("content-encoding", ""))


def _unpacked(body: bytes, encoding: str) -> bytes | None:
    """The body as it was meant; None if it is packed in a way we do not know, or into a bomb.

    We ask for none of this; a server in between may do it all the same.
    """
    match encoding.strip().lower():
        case _ if not body:
            return body
        case "" | "identity":
            return body
        case "gzip" | "x-gzip" | "deflate":
            unpacking = zlib.decompressobj(_ZLIB_OR_GZIP)
            try:
                unpacked = unpacking.decompress(body, LONGEST_BODY)
            except zlib.error:
                return None
            return unpacked if unpacking.eof else None
    return None
