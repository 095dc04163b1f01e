"""One child: its log, its claim on a name, its end; and what an earlier run left over."""

import asyncio
import os
import sys
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from moorline.stack import StackError
from moorline.stack.child import Child, Command
from moorline.stack.identities import Identity
from moorline.stack.logs import Log
from moorline.stack.readiness import at_once, says, start
from moorline.stack.state import StateFolder

SLEEP = "print('asleep', flush=True); import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def python(code: str, stop_within: float = 10) -> Command:
    return Command("part", [sys.executable, "-c", code], dict(os.environ), stop_within=stop_within)


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder.open(tmp_path / "state")


async def test_a_child_is_ready_when_its_log_says_so_and_stops_when_asked(
    state: StateFolder,
) -> None:
    child = await start(python(SLEEP), state, says("asleep"), within=10)
    assert os.getsid(child.pid) == child.pid, "Ctrl-C would reach it before us"
    await child.stop()
    assert child.returncode == -SIGTERM
    assert "was ended by SIGTERM" in child.obituary()
    assert child.log.read_text() == "asleep\n"


async def test_a_line_of_the_last_run_does_not_make_the_next_one_ready(state: StateFolder) -> None:
    await (await start(python(SLEEP), state, says("asleep"), within=10)).stop()
    with pytest.raises(StackError, match="ended with exit code 0"):
        await start(python("print('up')"), state, says("asleep"), within=10)


async def test_a_child_that_ignores_the_request_to_stop_is_killed(state: StateFolder) -> None:
    child = await start(python(STUBBORN, stop_within=0.1), state, says("asleep"), within=10)
    await child.stop()
    assert "SIGKILL" in child.obituary()


async def test_a_child_that_ends_early_is_an_error_with_the_end_of_its_log(
    state: StateFolder,
) -> None:
    code = "import sys; print('no key, no start'); sys.exit(3)"
    with pytest.raises(StackError, match="exit code 3") as error:
        await start(python(code), state, says("ready"), within=10)
    assert "no key, no start" in str(error.value)
    assert str(state.log("part")) in str(error.value)


async def test_a_child_that_is_never_ready_is_stopped_at_the_deadline(state: StateFolder) -> None:
    with pytest.raises(StackError, match=r"not ready after 0.2 s"):
        await start(python(SLEEP), state, says("ready"), within=0.2)
    await (await Child.spawn(python("pass"), state)).wait()  # the name is free again


async def test_a_program_that_does_not_exist_is_named(state: StateFolder) -> None:
    with pytest.raises(StackError, match=r"part cannot be started: .*nowhere"):
        await Child.spawn(Command("part", ["/nowhere/at/all"], {}), state)


async def test_one_name_runs_once_in_a_state_folder(state: StateFolder) -> None:
    child = await start(python(SLEEP), state, at_once, within=10)
    with pytest.raises(StackError, match=rf"part of .* is already running \(pid {child.pid}\)"):
        await Child.spawn(python(SLEEP), state)
    await child.stop()


async def test_what_an_earlier_run_left_over_is_ended_first(state: StateFolder) -> None:
    leftover = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SLEEP, start_new_session=True
    )
    state.pid_file("part").write_text(str(Identity.of(leftover.pid, SIGTERM)))
    child = await Child.spawn(python(SLEEP), state)
    assert await leftover.wait() == -SIGTERM
    await child.stop()


async def test_a_process_that_was_given_the_same_pid_since_is_left_alone(
    state: StateFolder,
) -> None:
    stranger = await asyncio.create_subprocess_exec(sys.executable, "-c", SLEEP)
    state.pid_file("part").write_text(f"{stranger.pid} {SIGTERM.value} another-boot/1")
    await (await Child.spawn(python("pass"), state)).wait()
    assert stranger.returncode is None
    stranger.kill()  # raises if it has ended
    assert await stranger.wait() == -SIGKILL


async def test_a_torn_pid_file_is_nobody(state: StateFolder) -> None:
    state.pid_file("part").write_text("12")
    assert await (await Child.spawn(python("pass"), state)).wait() == 0


async def test_cancelling_a_start_leaves_nothing_behind(state: StateFolder) -> None:
    spawned: asyncio.Queue[Child] = asyncio.Queue()

    async def never(child: Child) -> bool:
        spawned.put_nowait(child)
        return False

    starting = asyncio.create_task(start(python(SLEEP), state, never, within=30))
    child = await spawned.get()
    starting.cancel()
    await asyncio.wait([starting])
    assert starting.cancelled()
    assert child.returncode == -SIGTERM


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    path.write_bytes(b"x" * 10_000_001)
    log = Log.begin(path)
    with log.sink() as sink:
        sink.write(b"new\n")
    assert log.text() == "new\n"
    assert (tmp_path / "part.log.1").stat().st_size == 10_000_001


def test_a_state_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="cannot be used"):
        StateFolder.open(tmp_path / "file" / "state")
