"""Figures for Prometheus: the requests this process answers, and how all connections fare.

Connections are counted in the database when the figures are asked for, so any gateway tells the
same of them. Each application has a registry of its own. No label ever holds what a caller sent.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Depends, FastAPI, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.outcomes import Outcome
from domain.roles import Role
from domain.status import ConnectionStatus
from gateway.security import guard
from storage import provider_apps, views
from storage.database import Database

OTHER: Final = "other"
"""Whatever no route of ours was asked for: its path and method are the caller's own words."""
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def add_metrics(app: FastAPI, database: Database) -> None:
    """Count what the application answers, and tell at ``/metrics``."""
    requests = _Requests(CollectorRegistry())
    app.include_router(_routes(database, requests))
    app.add_middleware(_Counting, requests=requests)


class _Requests:
    """What is known of the requests that were answered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._answered = Counter(
            "moorline_http_requests",
            "Requests that were answered.",
            ("route", "method", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "moorline_http_request_duration_seconds",
            "Until a request began to be answered: a stream may go on for days.",
            ("route", "method"),
            registry=registry,
        )

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", OTHER)
        method = scope["method"] if scope["method"] in METHODS else OTHER
        self._answered.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(seconds)


class _Counting:
    """Counts each answer as it begins, and hands everything on as it comes."""

    def __init__(self, app: ASGIApp, requests: _Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, has_begun_to_answer = time.perf_counter(), False

        async def counted(message: Message) -> None:
            nonlocal has_begun_to_answer
            if message["type"] == "http.response.start":
                has_begun_to_answer = True
                self._requests.answered(scope, message["status"], time.perf_counter() - begun)
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:
            if not has_begun_to_answer:  # then it is answered outside of here, by a 500
                self._requests.answered(scope, 500, time.perf_counter() - begun)
            raise


@dataclass(frozen=True, eq=False)  # a registry wants to hash it
class _Figures(Collector):
    """How all connections fare, as it was when they were counted."""

    connections: Mapping[tuple[str, ConnectionStatus], int]
    degraded: Mapping[Outcome, int]
    misconfigured: Iterable[str]
    overdue: timedelta

    def collect(self) -> Iterable[Metric]:
        connections = GaugeMetricFamily(
            "moorline_connections", "Connections there are.", labels=("provider", "status")
        )
        for (provider, status), count in self.connections.items():
            connections.add_metric((provider, status), count)
        yield connections
        degraded = GaugeMetricFamily(
            "moorline_connections_degraded",
            "Active connections that cannot be refreshed or verified now.",
            labels=("cause",),
        )
        for cause, count in self.degraded.items():
            degraded.add_metric((cause,), count)
        yield degraded
        misconfigured = GaugeMetricFamily(
            "moorline_provider_app_misconfigured",
            "1 for each provider that refuses our own registration.",
            labels=("provider",),
        )
        for provider in self.misconfigured:
            misconfigured.add_metric((provider,), 1)
        yield misconfigured
        yield GaugeMetricFamily(
            "moorline_refresh_overdue_seconds",
            "How long the oldest refresh has been due that was not tried; 0 where none is.",
            value=self.overdue.total_seconds(),
        )


def _routes(database: Database, requests: _Requests) -> APIRouter:
    router = APIRouter(tags=["metrics"], dependencies=[Depends(guard(database, Role.METRICS))])

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Requests and connections, as Prometheus reads them."""
        async with database.transaction() as session:
            figures = await _figures(session)
        counted = CollectorRegistry()
        counted.register(figures)
        told = generate_latest(requests.registry) + generate_latest(counted)
        return Response(told, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router


async def _figures(session: AsyncSession) -> _Figures:
    return _Figures(
        connections=await views.counted(session),
        degraded=await views.degraded(session),
        misconfigured=[row.provider_slug for row in await provider_apps.in_trouble(session)],
        overdue=await views.overdue(session),
    )
