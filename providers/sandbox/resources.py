"""What a token or a key opens: who its user is, and what they own.

The same data stands under `/api`, opened by an access token (RFC 6750), under `/broker`, by a key
in `X-Api-Key`, under `/linked`, by a link token in `X-Link-Token`, and under `/mutual`, by a client
certificate. Which of them was shown, and what it is worth, is judged first.
"""

import re
import time
from abc import abstractmethod
from dataclasses import asdict, dataclass

from pydantic import JsonValue

from .answers import Answer
from .calls import Decision, WatchedCall
from .endpoints import grant_of
from .families import Verdict, access_state
from .finances import Account, holdings_of, instant
from .keys import Key, Kind
from .target import Target
from .wire import Wire

MUTUAL = "mutual"
KEYED: dict[str, tuple[Kind, str]] = {
    "broker": ("key", "x-api-key"),
    "linked": ("link", "x-link-token"),
}
"""Where what kind of key opens the data, and the header it is in.

The place stands for the app in the ledger: keys belong to no app.
"""
LIMIT, LONGEST = 100, 500
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Shown:
    """Whoever asks, judged: `refusal` unless what was shown is good, then for this `user`."""

    verdict: Verdict | None
    refusal: Decision | None = None
    user: str = ""
    facts: dict[str, JsonValue] | None = None


class ResourceCall(WatchedCall):
    """A call that shows an access token or a key."""

    def target(self, wire: Wire) -> Target:
        if (place := _place(wire)) != "api":
            known = self._shown_key(wire, place)
            return Target(endpoint="api", client_id=place, grant_id=known.id if known else None)
        grant_id = grant_of(self.sandbox, _bearer(wire))
        grant = grant_id and self.sandbox.grants.get(grant_id, time.time())
        client_id = grant.client_id if grant else None
        return Target(endpoint="api", client_id=client_id, grant_id=grant_id)

    def decide(self, wire: Wire) -> Decision:
        shown = self._key(wire) if _place(wire) != "api" else self._token(wire)
        if shown.refusal is not None:
            return shown.refusal
        return Decision(self.answer(wire, shown), shown.verdict)

    @abstractmethod
    def answer(self, wire: Wire, shown: Shown) -> Answer:
        """To someone whose token or key is good."""

    def _shown_key(self, wire: Wire, place: str) -> Key | None:
        if place == MUTUAL:
            found = self.sandbox.authority.find(wire.certificate)
            return Key(*found) if found else None
        kind, header = KEYED[place]
        return self.sandbox.keys.find(wire.request.headers.get(header, ""), kind)

    def _key(self, wire: Wire) -> Shown:
        key = self._shown_key(wire, _place(wire))
        if key is None or not key.live:
            verdict = Verdict("unknown" if key is None else "revoked", key.id if key else None)
            answer = Answer(401, {"error": "invalid_key"})
            return Shown(verdict, Decision(answer, verdict, "invalid_key"))
        return Shown(Verdict("live", key.id, acted=True), user=key.user, facts={"user": key.user})

    def _token(self, wire: Wire) -> Shown:
        bearer, now = _bearer(wire), time.time()
        if bearer is None:
            return Shown(None, Decision(_challenge("", "Bearer token missing.")))
        token = self.sandbox.grants.find_token(bearer)
        grant = token and self.sandbox.grants.get(token.grant_id, now)
        if token is None or not grant or token.kind != "access":
            return _refused(Verdict("unknown"))
        state = access_state(token, grant, now)
        verdict = Verdict(state, grant.id, acted=state == "live")
        if state != "live":
            return _refused(verdict)
        facts: dict[str, JsonValue] = {
            "user": grant.user,
            "client_id": grant.client_id,
            "scope": token.scope,
            "grant_id": grant.id,
        }
        return Shown(verdict, user=grant.user, facts=facts)


class MeCall(ResourceCall):
    """Who it is: by which anyone can tell whether a token or key is any good."""

    def answer(self, wire: Wire, shown: Shown) -> Answer:  # noqa: ARG002 -- the same interface
        return Answer(payload=shown.facts)


class AccountsCall(ResourceCall):
    """All accounts of the user."""

    def answer(self, wire: Wire, shown: Shown) -> Answer:  # noqa: ARG002 -- the same interface
        finances = self.sandbox.finances
        return Answer(
            payload={
                "accounts": [
                    {
                        **asdict(account),
                        "balance": finances.balance(account),
                        "available": finances.balance(account),
                    }
                    for account in finances.accounts(shown.user, time.time())
                ]
            }
        )


class AccountCall(ResourceCall):
    """Something of one account."""

    def answer(self, wire: Wire, shown: Shown) -> Answer:
        wanted = wire.request.path_params["account_id"]
        for account in self.sandbox.finances.accounts(shown.user, time.time()):
            if account.id == wanted:
                return self.about(wire, account)
        return Answer(404, {"error": "not_found"})

    @abstractmethod
    def about(self, wire: Wire, account: Account) -> Answer:
        """To the account's owner."""


class HoldingsCall(AccountCall):
    """All positions in an account."""

    def about(self, wire: Wire, account: Account) -> Answer:  # noqa: ARG002 -- the same interface
        holdings: list[JsonValue] = [{**each} for each in holdings_of(account)]
        return Answer(payload={"holdings": holdings, "as_of": instant(time.time())})


class TransactionsCall(AccountCall):
    """Transactions after a cursor, oldest first; the cursor is nobody's business but ours."""

    def about(self, wire: Wire, account: Account) -> Answer:
        query = wire.request.query_params
        cursor, limit = query.get("cursor", "t0"), query.get("limit", str(LIMIT))
        if not (cursor.startswith("t") and _NUMBER.fullmatch(cursor[1:])):
            return Answer(400, {"error": "invalid_request"})
        if not (_NUMBER.fullmatch(limit) and 1 <= int(limit) <= LONGEST):
            return Answer(400, {"error": "invalid_request"})
        after = int(cursor[1:])
        found = self.sandbox.finances.transactions(account, after, int(limit) + 1)
        page = found[: int(limit)]
        return Answer(
            payload={
                "transactions": [
                    {**asdict(each), "currency": account.currency, "status": "booked"}
                    for each in page
                ],
                "next_cursor": f"t{page[-1].seq if page else after}",
                "has_more": len(found) > len(page),
            }
        )


def _place(wire: Wire) -> str:
    """Below which address the data was asked for."""
    return wire.request.url.path.split("/")[1]


def _bearer(wire: Wire) -> str | None:
    scheme, _, token = wire.request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _refused(verdict: Verdict) -> Shown:
    answer = _challenge(', error="invalid_token"', "The token is not valid.")
    return Shown(verdict, Decision(answer, verdict, "invalid_token"))


def _challenge(error: str, sentence: str) -> Answer:
    challenge = {"WWW-Authenticate": f'Bearer realm="sandbox"{error}'}
    return Answer(401, {"error_description": sentence}, headers=challenge)
