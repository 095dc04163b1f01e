"""`python -m providers.sandbox --port N --state DIR`: the sandbox as a process of its own.

One line on standard output once it listens; everything else goes to standard error.
"""

import argparse
import asyncio
import logging
import sys
from contextlib import suppress
from pathlib import Path

from .app import create_app
from .serving import Server, listen, url_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m providers.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--state", type=Path, help="folder to remember in; without it, in memory")
    parser.add_argument("--issuer", help="issuer to state, if not http://127.0.0.1:PORT")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        listening = listen(options.port)
    except OSError as problem:
        sys.exit(f"cannot listen on port {options.port}: {problem.strerror}")
    url = url_of(listening)
    app = create_app(options.state, options.issuer or url)
    sys.stdout.write(f"sandbox provider listening on {url}\n")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        asyncio.run(Server(app, signals=True).serve(sockets=[listening]))


if __name__ == "__main__":
    main()
