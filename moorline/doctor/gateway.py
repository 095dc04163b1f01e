"""The gateway: without it connections live on, and nobody reaches them over HTTP.

It may run on another machine, so its absence here is no more than worth a look.
"""

from collections.abc import AsyncIterator

import httpx

from moorline.doctor.findings import Finding, ok, warn
from moorline.settings import TemporalSettings

WITHIN_S = 2


async def answers(settings: TemporalSettings) -> AsyncIterator[Finding]:
    """Whether ours answers where it is to listen, and can work."""
    url = f"http://127.0.0.1:{settings.gateway_port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=WITHIN_S) as http:
        lives, ready = [await _ours(http, path) for path in ("/healthz", "/readyz")]
    if lives and ready:
        yield ok("gateway", f"answers at {url}")
    elif lives:
        said = f"answers at {url}, and cannot use its database"
        yield warn("gateway", said, f"look at its log; {url}/readyz says what it lacks")
    else:
        said = f"does not answer at {url}: applications and the Temporal web UI have none here"
        yield warn("gateway", said, "run `moorline gateway`, or correct MOORLINE_GATEWAY_PORT")


async def _ours(http: httpx.AsyncClient, path: str) -> bool:
    try:
        return bool((await http.get(path)).json() == {"status": "ok"})
    except (httpx.HTTPError, ValueError):
        return False
