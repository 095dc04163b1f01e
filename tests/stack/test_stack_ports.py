"""Ports are checked before anything starts."""

import socket
from contextlib import closing
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from moorline.stack import Ports, Stack, StackError, StackFacts
from moorline.stack.ports import free_ports


def test_the_fixed_ports_are_those_of_the_file() -> None:
    ports = Ports.fixed(StackFacts.read())
    assert astuple(ports) == (7233, 8233, 7234, 54329, 8900, 8300, 8400)


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(50))) == 50


async def test_every_taken_port_is_named_at_once_and_nothing_is_started(tmp_path: Path) -> None:
    ports = Ports.free()
    with listening(ports.temporal), listening(ports.gateway), pytest.raises(StackError) as error:
        async with Stack(tmp_path, StackFacts.read(), ports):
            pass
    assert f"port {ports.temporal} is taken (Temporal)" in str(error.value)
    assert f"port {ports.gateway} is taken (gateway)" in str(error.value)
    assert "PostgreSQL" not in str(error.value)
    assert not (tmp_path / "postgres").exists()


def test_the_redirect_port_may_be_in_use_by_a_login() -> None:
    ports = Ports.free()
    with listening(ports.redirect):
        ports.check()


def test_a_listener_on_every_address_counts_as_taken() -> None:
    ports = Ports.free()
    with listening(0, host="0.0.0.0") as everywhere, pytest.raises(StackError, match="sandbox"):
        replace(ports, sandbox=everywhere.getsockname()[1]).check()


def listening(port: int, host: str = "127.0.0.1") -> closing[socket.socket]:
    return closing(socket.create_server((host, port)))
