"""The vault under any sequence of rotations, rewraps, copies and damage.

What was sealed opens where it was sealed, and nowhere else.
"""

from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from domain.errors import StorageFault
from storage.keyring import Keyring, new_key
from storage.vault import Vault, WrappedKey

NAMES: Final = ("credentials", "staged", "attempt")


@dataclass(frozen=True)
class Row:
    """A sealed value as it is stored, with the data key it belongs to, and what it is to hold."""

    data_key: UUID
    name: str
    generation: int
    sealed: bytes
    secret: str


class Keeping(RuleBasedStateMachine):
    """A keyring that is rotated, data keys that are rewrapped, and rows that are sealed."""

    keys = Bundle("keys")
    rows = Bundle("rows")

    @initialize()
    def begin(self) -> None:
        self.ring = [new_key("key-0")]
        self.made = 1
        self.wrapped: dict[UUID, WrappedKey] = {}
        self.sealed: list[Row] = []

    @property
    def vault(self) -> Vault:
        return Vault(Keyring.parse(",".join(self.ring), "keys"))

    # -- what operators do ---------------------------------------------------------------------

    @rule()
    def add_a_key(self) -> None:
        self.ring.append(new_key(f"key-{self.made}"))
        self.made += 1

    @rule()
    def promote_the_newest(self) -> None:
        self.ring.insert(0, self.ring.pop())

    @rule(key=keys)
    def rewrap(self, key: UUID) -> None:
        if key in self.wrapped:
            self.wrapped[key] = self.vault.rewrap(self.wrapped[key])

    @rule()
    def retire_what_nothing_uses(self) -> None:
        used = {wrapped.key_id for wrapped in self.wrapped.values()} | {self.vault.primary_id}
        self.ring = [entry for entry in self.ring if entry.partition(":")[0] in used]

    # -- what connections do -------------------------------------------------------------------

    @rule(target=keys)
    def begin_a_connection(self) -> UUID:
        wrapped = self.vault.new_data_key(uuid4())
        self.wrapped[wrapped.id] = wrapped
        return wrapped.id

    @rule(
        target=rows,
        key=keys,
        name=st.sampled_from(NAMES),
        generation=st.integers(0, 3),
        secret=st.text(max_size=8),
    )
    def seal(self, key: UUID, name: str, generation: int, secret: str) -> Row | None:
        if key not in self.wrapped:
            return None
        data_key = self.vault.unwrap(self.wrapped[key])
        row = Row(key, name, generation, data_key.seal(name, generation, {"s": secret}), secret)
        self.sealed.append(row)
        return row

    @rule(key=consumes(keys))
    def shred(self, key: UUID) -> None:
        self.wrapped.pop(key, None)

    # -- what must not work --------------------------------------------------------------------

    @rule(row=rows, name=st.sampled_from(NAMES), generation=st.integers(0, 3))
    def put_it_into_another_place(self, row: Row | None, name: str, generation: int) -> None:
        if (
            row
            and row.data_key in self.wrapped
            and (name, generation) != (row.name, row.generation)
        ):
            self.refuses(row, name, generation, row.sealed)

    @rule(row=rows, key=keys)
    def put_it_into_another_connection(self, row: Row | None, key: UUID) -> None:
        if row and key in self.wrapped and key != row.data_key:
            self.refuses(replace(row, data_key=key), row.name, row.generation, row.sealed)

    @rule(row=rows, data=st.data())
    def damage_it(self, row: Row | None, data: st.DataObject) -> None:
        if row and row.data_key in self.wrapped:
            at = data.draw(st.integers(0, len(row.sealed) - 1))
            flipped = bytearray(row.sealed)
            flipped[at] ^= 1 << data.draw(st.integers(0, 7))
            self.refuses(row, row.name, row.generation, bytes(flipped))
            self.refuses(row, row.name, row.generation, row.sealed[:at])

    @rule(key=keys, other=keys)
    def swap_two_wraps(self, key: UUID, other: UUID) -> None:
        if key != other and key in self.wrapped and other in self.wrapped:
            theirs = self.wrapped[other]
            with pytest.raises(StorageFault):
                self.vault.unwrap(
                    replace(self.wrapped[key], wrapped=theirs.wrapped, key_id=theirs.key_id)
                )

    def refuses(self, row: Row, name: str, generation: int, sealed: bytes) -> None:
        data_key = self.vault.unwrap(self.wrapped[row.data_key])
        with pytest.raises(StorageFault):
            data_key.open(name, generation, sealed)

    # -- what always works ---------------------------------------------------------------------

    @invariant()
    def everything_opens_where_it_was_sealed(self) -> None:
        for row in self.sealed:
            if row.data_key in self.wrapped:
                data_key = self.vault.unwrap(self.wrapped[row.data_key])
                opened = data_key.open(row.name, row.generation, row.sealed)
                assert opened["s"].reveal() == row.secret


Keeping.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestKeeping = Keeping.TestCase
