"""Who is logged in: the sandbox's two users, their browser sessions, and tokens against CSRF.

A session id is a secret: it lives in the browser's cookie, and here as a digest.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal, get_args

from . import canaries
from .store import Store

User = Literal["alice", "bob"]
USERS: tuple[str, ...] = get_args(User)
PASSWORD = "sandbox"  # the login page tells it to everyone


@dataclass(frozen=True)
class Session:
    """A browser; `user` is None until somebody logs in with it."""

    sid: str
    user: str | None = None

    @property
    def csrf(self) -> str:
        """What a form must carry to be believed; from the cookie, but not telling the cookie."""
        return hashlib.sha256(f"csrf of {self.sid}".encode()).hexdigest()

    def sent(self, csrf: str | None) -> bool:
        return hmac.compare_digest(self.csrf.encode(), (csrf or "").encode())


@dataclass(frozen=True)
class Sessions:
    """The browsers in which somebody is logged in."""

    store: Store

    def find(self, sid: str | None) -> Session:
        """The session of this cookie, or a new one for a cookie that is missing or not ours."""
        if sid is None or not sid.startswith("mlcanary-sid-"):
            return Session(canaries.mint("sid"))
        row = self.store.one("SELECT user FROM sessions WHERE digest = ?", canaries.digest(sid))
        return Session(sid, None if row is None else str(row["user"]))

    def log_in(self, user: str, password: str) -> Session | None:
        """A session under a new id, so that one planted before the login is worth nothing."""
        if user not in USERS or password != PASSWORD:
            return None
        session = Session(canaries.mint("sid"), user)
        self.store.run("INSERT INTO sessions VALUES (?, ?)", canaries.digest(session.sid), user)
        return session

    def log_out(self, session: Session) -> None:
        self.store.run("DELETE FROM sessions WHERE digest = ?", canaries.digest(session.sid))
