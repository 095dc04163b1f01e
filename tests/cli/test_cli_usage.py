"""Wrong usage is told at once, with exit code 2, before anything is opened."""

import asyncio
import os
import pty
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from tests.cli.terminal import Terminal
from tests.world import World

ID = str(uuid4())
SLOW_TO_IMPORT = {
    "temporalio",
    "sqlalchemy",
    "sqlmodel",
    "fastapi",
    "httpx2",
    "httpx",
    "cryptography",
}
WRONG = [
    ("show", "not-a-uuid"),
    ("show",),
    ("show", ID, "--unknown"),
    ("nonsense",),
    ("list", "--status", "sleeping"),
    ("list", "--user", "me"),
    ("connect", "sandbox"),
    ("connect", "sandbox", "--user", "me"),
    ("connect", "sandbox", "--user", ID, "--id", "1"),
    ("connect", "sandbox", "--user", ID, "--alias", "x" * 101),
    ("connect", "sandbox", "--user", ID, "--timeout", "0"),
    ("connect", "sandbox", "--user", ID, "--expires-at", "2030-01-01T00:00:00Z"),
    ("rename", ID),
    ("rename", ID, "name", "--none"),
    ("rename", ID, "x" * 101),
    ("rename", ID, ""),
    ("token", ID, "--min-ttl", "-1"),
    ("token", ID, "--min-ttl", "soon"),
    ("disconnect",),
    ("authorize", "1"),
]

CRASH_AT_THE_END = """
import atexit, os, signal
atexit.register(os.kill, os.getpid(), signal.SIGSEGV)
"""


async def test_wrong_usage_is_exit_code_2_and_writes_nothing_to_standard_output(
    terminal: Terminal,
) -> None:
    answers = await asyncio.gather(*(terminal.run(*words) for words in WRONG))
    for words, done in zip(WRONG, answers, strict=True):
        assert (done.code, done.out) == (2, ""), (words, done)
        assert "Traceback" not in done.err


async def test_help_is_there_at_once_and_names_every_command(terminal: Terminal) -> None:
    done = await terminal.run("--help", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.split("|")[-1].strip().split(".")[0] for line in done.err.splitlines()}
    assert "typer" in imported
    assert not imported & SLOW_TO_IMPORT
    commands = "dev worker gateway setup migrate doctor connect authorize list show explain"
    commands += " refresh revoke disconnect token rename watch events providers keys apikeys"
    assert all(f" {command} " in done.out for command in commands.split())


async def test_help_named_types_that_say_nothing(terminal: Terminal) -> None:
    """Bug: `--json <bool>`, and `[default: (30 minutes)]` beside SECONDS."""
    words = [
        ("--help",),
        ("connect", "--help"),
        ("providers", "list", "--help"),
        ("keys", "--help"),
    ]
    for done in await asyncio.gather(*(terminal.run(*each) for each in words)):
        assert done.code == 0
        assert "<bool>" not in done.out
        assert "(30 minutes)" not in done.out


async def test_it_says_which_version_it_is(terminal: Terminal) -> None:
    assert (await terminal.run("--version")).out == f"moorline {version('moorline')}\n"


async def test_a_command_that_is_done_does_not_crash_while_python_is_taken_apart(
    terminal: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CRASH_AT_THE_END)
    there = {"PYTHONPATH": str(tmp_path)}
    words = [("--help",), ("show", ID), ("show",)]
    assert [(await terminal.run(*each, **there)).code for each in words] == [0, 1, 2]


async def test_credentials_are_not_read_from_a_keyboard(terminal: Terminal) -> None:
    keyboard, line = pty.openpty()
    words = ("connect", "sandbox", "--user", ID, "--credentials-stdin")
    process = await terminal.spawn(*words, stdin=line)
    _, said = await process.communicate()
    os.close(keyboard)
    os.close(line)
    assert process.returncode == 2
    assert "expects a JSON object on standard input" in " ".join(said.decode().split())


async def test_ending_for_good_is_asked_about_at_a_keyboard_only(terminal: Terminal) -> None:
    keyboard, line = pty.openpty()
    process = await terminal.spawn("disconnect", ID, stdin=line)
    os.write(keyboard, b"n\n")
    _, said = await process.communicate()
    os.close(keyboard)
    os.close(line)
    assert process.returncode == 1
    assert "for good?" in said.decode()


async def test_the_shell_completes_commands_statuses_and_providers(
    world: World, terminal: Terminal
) -> None:
    async def completed(line: str) -> list[str]:
        done = await terminal.run(
            _MOORLINE_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(line.count(" "))
        )
        assert done.err == ""
        return done.out.split()

    assert await completed("moorline expl") == ["explain"]
    assert "revoked" in await completed("moorline list --status ")
    assert await completed("moorline connect xe") == ["xero"]
    assert await completed(f"moorline connect {world.slug[:6]}") == [world.slug]
    (world.folder / "broken.yaml").write_text("slug: ???")
    assert await completed("moorline connect xe") == []
