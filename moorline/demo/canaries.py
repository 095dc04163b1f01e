"""Searching files for secrets: every token of the sandbox carries a prefix one can look for.

Raw files are read, with their write-ahead logs: what was deleted, encrypted badly or logged by
accident would be found just the same. Base64 is looked for, too, in its three alignments.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CANARY = b"mlcanary-"
CHUNK = 1 << 20


@dataclass(frozen=True)
class Hunt:
    """What was searched, and where the canary was found."""

    files: int
    megabytes: float
    found: tuple[Path, ...]


def hunt(folder: Path) -> Hunt:
    """Search every file below a folder."""
    needles = tuple(_needles())
    files, size, found = 0, 0, []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        try:
            size += path.stat().st_size
            hit = _contains(path, needles)
        except FileNotFoundError:
            continue  # the server has removed it meanwhile
        files += 1
        if hit:
            found.append(path)
    return Hunt(files, size / 1e6, tuple(found))


def _needles() -> Iterator[bytes]:
    yield CANARY
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + CANARY)
        # The first and last characters depend on what stands beside it.
        yield encoded[-(-shift * 8 // 6) + (1 if shift else 0) : -4]


def _contains(path: Path, needles: tuple[bytes, ...]) -> bool:
    longest = max(len(needle) for needle in needles)
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            window = tail + chunk
            if any(needle in window for needle in needles):
                return True
            tail = window[-longest:]
    return False
