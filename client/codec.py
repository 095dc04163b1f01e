"""Encryption of everything that Temporal stores: arguments, results, failures, details, headers.

AES-256-GCM under a ring of payload keys (``MOORLINE_PAYLOAD_KEYS``). Every payload names its key
and the workflow it belongs to, and both are authenticated: a payload moved into another
workflow's history does not open there. Keys are looked up by id, never tried in turn.

Plain payloads are accepted where a person or another SDK may send them (what workflows are told
and asked), unless encryption is required; between our own workflow and activities they never are.
Anyone may send a workflow what does not open or is refused, and the server itself writes plain
details when an activity is cancelled that has not begun. Raising there would stop the workflow for
good, so such a payload is passed on, closed, and ``client.converter`` says what it is.
"""

from collections.abc import Sequence
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from domain.errors import StorageFault
from storage.keyring import Keyring
from storage.vault import decrypt, encrypt, length_prefixed

ENCODING: Final = b"binary/encrypted"
REFUSED: Final = b"binary/refused"
"""Stands in for a payload of a workflow that is not accepted: plain, or another workflow's."""
CONTEXT: Final = b"moorline-payload"


class EncryptionCodec(PayloadCodec, WithSerializationContext):
    """Encrypts every payload, bound to its workflow where that is known.

    Args:
        keyring: the payload keys; the first encrypts.
        required: refuse plain payloads everywhere.
        workflow_id: what payloads are bound to and checked against; None knows no workflow, as
            the web UI's codec endpoint: then only the authentication of the payload itself counts.
    """

    def __init__(
        self,
        keyring: Keyring,
        *,
        required: bool = False,
        workflow_id: str | None = None,
        internal: bool = False,
    ) -> None:
        self._keyring = keyring
        self._required = required
        self._workflow_id = workflow_id
        self._internal = internal

    def with_context(self, context: SerializationContext) -> "EncryptionCodec":
        """The same codec for one workflow, as the SDK asks for it."""
        if not isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            return self
        return EncryptionCodec(
            self._keyring,
            required=self._required,
            workflow_id=context.workflow_id,
            internal=isinstance(context, ActivitySerializationContext),
        )

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt."""
        return [self._encode(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt. Of a workflow, what is refused or does not open is passed on, closed.

        Raises:
            StorageFault: where no workflow is known: unknown key, changed, or plain where that is
                refused.
        """
        return [self._decode(payload) for payload in payloads]

    def _encode(self, payload: Payload) -> Payload:
        key_id = self._keyring.primary_id.encode()
        bind = (self._workflow_id or "").encode()
        sealed = encrypt(
            self._keyring.get(self._keyring.primary_id),
            payload.SerializeToString(),
            length_prefixed(CONTEXT, key_id, bind),
        )
        return Payload(metadata={"encoding": ENCODING, "kid": key_id, "bind": bind}, data=sealed)

    def _decode(self, payload: Payload) -> Payload:
        of_workflow = self._workflow_id is not None
        if (refusal := self._refusal(payload)) is not None:
            if of_workflow:
                return Payload(metadata={"encoding": REFUSED})
            raise StorageFault(refusal)
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        try:
            return self._open(payload)
        except StorageFault:
            if of_workflow:
                return payload
            raise

    def _open(self, payload: Payload) -> Payload:
        key_id, bind = payload.metadata.get("kid", b""), payload.metadata.get("bind", b"")
        opened = decrypt(
            self._keyring.get(key_id.decode(errors="replace")),
            payload.data,
            length_prefixed(CONTEXT, key_id, bind),
        )
        return Payload.FromString(opened)

    def _refusal(self, payload: Payload) -> str | None:
        """Why this payload is not accepted, whether or not it opens."""
        strict = self._required or self._internal
        if payload.metadata.get("encoding") != ENCODING:
            return "a payload that should be encrypted is not" if strict else None
        bind = payload.metadata.get("bind", b"")
        if self._workflow_id is None or bind == self._workflow_id.encode():
            return None
        # What the command line encoded through the codec endpoint knows no workflow: it counts
        # as a plain input does.
        return "a payload belongs to another workflow" if bind or strict else None
