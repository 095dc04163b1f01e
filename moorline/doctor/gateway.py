"""The gateway: without it everything works, and the Temporal web UI shows payloads as noise."""

from collections.abc import AsyncIterator

import httpx

from moorline.doctor.findings import Finding, ok, warn
from moorline.settings import TemporalSettings

WITHIN_S = 2


async def answers(settings: TemporalSettings) -> AsyncIterator[Finding]:
    """Whether ours answers where it is to listen."""
    url = f"http://127.0.0.1:{settings.gateway_port}"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=WITHIN_S) as http:
            ours = (await http.get(f"{url}/healthz")).json() == {"status": "ok"}
    except (httpx.HTTPError, ValueError):
        ours = False
    if ours:
        yield ok("gateway", f"answers at {url}")
    else:
        said = f"does not answer at {url}: the Temporal web UI cannot show payloads"
        mend = "run `moorline gateway`, or correct MOORLINE_GATEWAY_PORT"
        yield warn("gateway", said, mend)
