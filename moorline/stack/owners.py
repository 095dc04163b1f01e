"""As whom PostgreSQL runs: it refuses root, so root lends it another user.

The user is that of its data folder. It keeps one right of root's, to pass folders that only root
may enter: the environment and the state folder often lie in such a one.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .errors import StackError

_NOBODY = 65534


def give(folder: Path) -> None:
    """Make a folder of root's, and all in it, belong to the user PostgreSQL will run as."""
    if folder.stat().st_uid == os.geteuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)


def speaking_as(data: Path) -> list[str]:
    """The words to put before a PostgreSQL command that works on the folder `data`."""
    owner = data.stat()
    if os.geteuid() == owner.st_uid != 0:
        return []
    if os.geteuid() != 0:
        raise StackError(f"{data} belongs to another user (uid {owner.st_uid})")
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError(
            "PostgreSQL does not run as root, and the command `setpriv` that would run it as "
            "another user is missing; install util-linux, or start Moorline as an ordinary user"
        )
    # PostgreSQL looks for its own program with access(2), which ignores the right without the bit.
    rights = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    rights += ["--securebits=+no_setuid_fixup"]
    who = [f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    # Changing the user clears what `parents` arranged, so it is asked for again here.
    return [setpriv, *who, *rights, "--pdeathsig", "INT"]
