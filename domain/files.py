"""Files that users bring: how long they may be, and what they may be called."""

from typing import Final

LONGEST_FILE: Final = 1_000_000
"""Bytes."""
LONGEST_NAME: Final = 100


def named(name: str | None) -> str:
    """A file's name without its folders and what cannot be printed; never empty."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(each for each in last if each.isprintable())[:LONGEST_NAME].strip() or "file"
