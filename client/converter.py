"""Payloads as Python values: pydantic's JSON, and never an exception for what anyone may send.

The SDK drops a signal whose payload it cannot read, and stalls the workflow over a start. Whoever
asks for ``object`` or for nothing in particular (the handlers of ``workflows.conversation``, and
the details of failures) gets an ``Unreadable`` instead and can refuse it in words; whoever asks
for a type of ours, as activities and their callers do, gets the exception.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter

from client.codec import ENCODING, REFUSED
from domain.errors import StorageFault
from workflows.messages import Unreadable

_WHY = {ENCODING: Unreadable.SEALED, REFUSED: Unreadable.REFUSED}


class PayloadConverter(PydanticPayloadConverter):
    """Reads whatever comes."""

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """Decode each payload.

        Raises:
            StorageFault: a payload that a type was asked for does not open, or is refused.
        """
        pairs = zip_longest(payloads, (type_hints or [])[: len(payloads)])
        return [self._value(payload, hint) for payload, hint in pairs]

    def _value(self, payload: Payload, hint: type | None) -> Any:
        anything = hint is None or hint is object
        closed = _WHY.get(payload.metadata.get("encoding", b""))
        if closed is not None and not anything:
            raise StorageFault(f"a payload cannot be read: it is {closed}")
        try:
            return closed or super().from_payloads([payload], None if hint is None else [hint])[0]
        except Exception:
            if not anything:
                raise
            return Unreadable.MALFORMED
