"""One campaign as a table and as JSON."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from campaign.checker import Verdict, judge, losses
from campaign.diary import Diary
from campaign.evidence import Evidence
from campaign.measures import Kept, kept_in_time, recoveries

MOST_NAMED: Final = 8
"""Breaches of one invariant that are printed; all are in the JSON."""


@dataclass(frozen=True)
class Report:
    """What was done, what came of it, and whether it was in order."""

    seed: int
    minutes: float
    connections: int
    restarts: Counter[str]
    settled_in_s: float
    within_s: float
    diary: Diary
    evidence: Evidence
    verdicts: Sequence[Verdict]

    @classmethod
    def of(
        cls,
        *,
        seed: int,
        minutes: float,
        restarts: Counter[str],
        settled_in_s: float,
        within_s: float,
        diary: Diary,
        evidence: Evidence,
    ) -> "Report":
        """Judge the evidence."""
        return cls(
            seed,
            minutes,
            len(evidence.lives),
            restarts,
            settled_in_s,
            within_s,
            diary,
            evidence,
            judge(evidence),
        )

    @property
    def holds(self) -> bool:
        """Whether every invariant does."""
        return all(verdict.holds for verdict in self.verdicts)

    def rows(self) -> Iterator[tuple[str, str]]:
        """For a table."""
        yield "seed", str(self.seed)
        yield "minutes", f"{self.minutes:g}"
        yield "connections", f"{self.connections}, {_counts(self._statuses())}"
        for name in sorted({name for name, _ in self.diary.operations}):
            yield f"did: {name}", _counts(self._outcomes(name))
        for name, count in sorted(Counter(fault.kind for fault in self.evidence.faults).items()):
            yield f"fault: {name}", str(count)
        yield "faults left out", _counts(self.diary.left_out) or "none"
        yield "ended by themselves", _counts(self.restarts) or "none"
        yield "refreshes", str(self._refreshes())
        yield "losses, all where there is no grace", str(len(losses(self.evidence)))
        found = recoveries(self.evidence)
        yield "from a worker's kill to the next refresh", _times(found)
        for kind, kept in kept_in_time(self.evidence).items():
            yield f"tokens replaced in time: {kind}", _share(kept)
        yield "searched for canaries", f"{self.evidence.searched / 1e6:.0f} MB"
        yield "settled after", f"{self.settled_in_s:.1f} s, of {self.within_s:g} s"
        yield "load of the machine at the end", f"{os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
        for verdict in self.verdicts:
            yield f"{verdict.number} {verdict.invariant}", "holds" if verdict.holds else "BROKEN"

    def complaints(self) -> Iterator[str]:
        """What breaks an invariant, for people."""
        for verdict in self.verdicts:
            for breach in verdict.breaches[:MOST_NAMED]:
                yield f"{verdict.number}: {breach}"
            if (more := len(verdict.breaches) - MOST_NAMED) > 0:
                yield f"{verdict.number}: and {more} more"

    def as_json(self) -> dict[str, JsonValue]:
        """Everything, for programs."""
        return {
            "seed": self.seed,
            "minutes": self.minutes,
            "connections": self.connections,
            "statuses": dict(self._statuses()),
            "operations": {name: dict(self._outcomes(name)) for name, _ in self.diary.operations},
            "faults": dict(Counter(fault.kind for fault in self.evidence.faults)),
            "faults_left_out": dict(self.diary.left_out),
            "ended_by_themselves": dict(self.restarts),
            "refreshes": self._refreshes(),
            "losses": len(losses(self.evidence)),
            "recoveries_s": [round(each, 2) for each in recoveries(self.evidence)],
            "kept_in_time": {
                kind: [kept.in_time, kept.due] for kind, kept in kept_in_time(self.evidence).items()
            },
            "settled_in_s": round(self.settled_in_s, 1),
            "within_s": self.within_s,
            "invariants": [
                {
                    "number": verdict.number,
                    "invariant": verdict.invariant,
                    "holds": verdict.holds,
                    "breaches": list(verdict.breaches),
                }
                for verdict in self.verdicts
            ],
        }

    def evidence_as_json(self) -> dict[str, JsonValue]:
        """What it was judged by, without the events, to be read afterwards."""
        evidence = self.evidence
        told = {
            "lives": evidence.lives,
            "calls": evidence.calls,
            "claims": evidence.claims,
            "leases": evidence.leases,
            "faults": evidence.faults,
        }
        lines = {name: [vars(each) for each in many] for name, many in told.items()}
        plain: dict[str, JsonValue] = json.loads(json.dumps(lines, default=str))
        return plain

    def _statuses(self) -> Counter[str]:
        return Counter(life.status for life in self.evidence.lives)

    def _outcomes(self, name: str) -> Counter[str]:
        told = self.diary.operations
        return Counter({outcome: count for (done, outcome), count in told.items() if done == name})

    def _refreshes(self) -> int:
        claims = self.evidence.claims
        return sum(claim.kind == "refresh" and claim.outcome == "stored" for claim in claims)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _times(found: Sequence[float]) -> str:
    if not found:
        return "no refresh was cut"
    middle = sorted(found)[len(found) // 2]
    return f"{middle:.1f} s in the middle, {max(found):.1f} s at most, of {len(found)}"


def _share(kept: Kept) -> str:
    return f"{kept.in_time / kept.due:.3f} of {kept.due}"
