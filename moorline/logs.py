"""Logging of our own processes: to standard error, as lines for people or as JSON.

Nothing that carries a secret is logged by us; libraries that log addresses, headers or statements
are pinned to warnings, and tracebacks never show local variables. Standard output stays clean.
"""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import Processor

CHATTY = ("alembic", "asyncio", "asyncpg", "httpcore", "httpx", "sqlalchemy", "uvicorn")
"""Queries of redirects, bound values, headers: nothing of theirs below a warning."""

_SHARED: tuple[Processor, ...] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def set_up(level: str, form: Literal["console", "json"] = "console") -> None:
    """Log from ``level`` up."""
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(form),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[output], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def forward_temporal(level: str) -> None:
    """Have the Rust core of Temporal's SDK log like everything else; it would use stdout.

    To be called before the first client is made.
    """
    from temporalio.runtime import (
        LogForwardingConfig,
        LoggingConfig,
        Runtime,
        TelemetryConfig,
        TelemetryFilter,
    )

    core = logging.getLogger("temporal.core")
    core.setLevel(max(logging.WARNING, logging.getLevelName(level)))
    forwarding = LogForwardingConfig(logger=core)
    filtered = TelemetryFilter(core_level="WARN", other_level="ERROR")
    logging_config = LoggingConfig(filter=filtered, forwarding=forwarding)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=logging_config)))


def _renderers(form: Literal["console", "json"]) -> list[Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # The renderer's own choice would show local variables in tracebacks.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
