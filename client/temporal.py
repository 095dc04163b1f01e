"""The one way to reach Temporal: converter, codec and connection, for worker, gateway and CLI."""

import dataclasses
from collections.abc import Mapping
from datetime import timedelta

from temporalio.client import Client, HeaderCodecBehavior
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from client.codec import EncryptionCodec
from domain.errors import NotConfigured, Unreachable

CONNECT_TIMEOUT = timedelta(seconds=10)


def data_converter(codec: EncryptionCodec) -> DataConverter:
    """Pydantic models as JSON, encrypted; failures' messages and stack traces, too."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def connect(codec: EncryptionCodec, environment: Mapping[str, str]) -> Client:
    """A client as ``temporalio.envconfig`` reads it: ``TEMPORAL_*``, profiles, mTLS, API keys.

    Raises:
        NotConfigured: the environment or the config file is wrong.
        Unreachable: no server answers there.
    """
    try:
        config = ClientConfig.load_client_connect_config(override_env_vars=dict(environment))
    except (RuntimeError, ValueError) as error:
        raise NotConfigured(f"the Temporal configuration cannot be read: {error}") from None
    try:
        return await Client.connect(
            **config,
            data_converter=data_converter(codec),
            header_codec_behavior=HeaderCodecBehavior.CODEC,
        )
    except (RuntimeError, RPCError):
        address = config.get("target_host", "localhost:7233")
        raise Unreachable(f"Temporal does not answer at {address}") from None
