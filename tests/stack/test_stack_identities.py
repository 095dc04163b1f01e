"""Who lives and who is gone, when the system's own words for it mislead."""

import socket
import subprocess
import sys
from signal import SIGTERM

import pytest

from moorline.stack.identities import Identity

# The first thread ends, and a second one goes on, with the socket: a zombie that is not dead.
HEADLESS = """
import ctypes, socket, sys, threading
held = socket.create_server(("127.0.0.1", 0))
main = threading.main_thread().native_id
def go_on():
    while open(f"/proc/self/task/{main}/stat").read().rpartition(")")[2].split()[0] != "Z":
        pass
    print(held.getsockname()[1], flush=True)
    sys.stdin.read()
threading.Thread(target=go_on).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the state that Linux tells of a process")
def test_a_process_whose_last_threads_still_hold_its_ports_is_not_gone() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HEADLESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        held = Identity.of(process.pid, SIGTERM)
        port = int(process.stdout.readline())
        assert held.lives()
        with socket.socket() as probe, pytest.raises(OSError, match="in use"):
            probe.bind(("127.0.0.1", port))
        process.kill()
        process.wait()
        assert not held.lives()
