"""Makes a child die with its parent, however the parent dies.

The returned function runs between fork and exec, where other threads' locks may be held for ever:
it must do nothing but two system calls.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from signal import Signals

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def dying_with_parent(farewell: Signals) -> Callable[[], None] | None:
    """What `preexec_fn` should be, so that the child is sent `farewell` when its parent dies.

    "Parent" is the *thread* that forks: run the event loop in one that lives as long as the stack.
    Only Linux offers this; elsewhere the next start ends what was left over.
    """
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, int(farewell))
        if os.getppid() != parent:  # it died before we asked to be told
            os._exit(1)

    return arrange
