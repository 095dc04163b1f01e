"""Encryption of everything that Temporal stores: arguments, results, failures, details, headers.

AES-256-GCM under a ring of payload keys (``MOORLINE_PAYLOAD_KEYS``). Every payload names its key
and the workflow it belongs to, and both are authenticated: a payload moved into another
workflow's history does not open there. Keys are looked up by id, never tried in turn.

Plain payloads are accepted where a person or another SDK may send them (what workflows are told
and asked), unless encryption is required; between our own workflow and activities they never are.
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
        """Decrypt.

        Raises:
            StorageFault: unknown key, changed, of another workflow, or plain where that is
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
        if payload.metadata.get("encoding") != ENCODING:
            if self._required or self._internal:
                raise StorageFault("a payload that should be encrypted is not")
            return payload
        key_id, bind = payload.metadata.get("kid", b""), payload.metadata.get("bind", b"")
        self._check_bound(bind)
        opened = decrypt(
            self._keyring.get(key_id.decode(errors="replace")),
            payload.data,
            length_prefixed(CONTEXT, key_id, bind),
        )
        return Payload.FromString(opened)

    def _check_bound(self, bind: bytes) -> None:
        if self._workflow_id is None or bind == self._workflow_id.encode():
            return
        # What the command line encoded through the codec endpoint knows no workflow: it counts
        # as a plain input does.
        if bind or self._required or self._internal:
            raise StorageFault("a payload belongs to another workflow")
