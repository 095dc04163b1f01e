"""The one way to reach Temporal: converter, codec and connection, for worker, gateway and CLI."""

import dataclasses
from collections.abc import Mapping
from datetime import timedelta

from temporalio.client import Client, HeaderCodecBehavior
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.service import RPCError

from client.codec import EncryptionCodec
from client.converter import PayloadConverter
from domain.errors import NotConfigured, Unreachable

DEFAULT_ADDRESS = "localhost:7233"
DEFAULT_NAMESPACE = "default"
CONNECT_TIMEOUT = timedelta(seconds=10)


def data_converter(codec: EncryptionCodec) -> DataConverter:
    """Pydantic models as JSON, encrypted; failures' messages and stack traces, too."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_converter_class=PayloadConverter,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def configuration(environment: Mapping[str, str]) -> ClientConnectConfig:
    """Where Temporal is, as ``temporalio.envconfig`` reads it: ``TEMPORAL_*``, profiles, mTLS.

    Raises:
        NotConfigured: the environment or the config file is wrong.
    """
    try:
        config = ClientConfig.load_client_connect_config(override_env_vars=dict(environment))
    except (RuntimeError, ValueError) as error:
        # Its first line only: the others quote the file, API keys included.
        problem = str(error).partition("\n")[0]
        raise NotConfigured(f"the Temporal configuration cannot be read: {problem}") from None
    config.setdefault("target_host", DEFAULT_ADDRESS)
    config.setdefault("namespace", DEFAULT_NAMESPACE)
    return config


async def connect(codec: EncryptionCodec | None, environment: Mapping[str, str]) -> Client:
    """A client for what the environment names.

    Args:
        codec: None: for a part that neither reads nor writes a payload.

    Raises:
        NotConfigured: the environment or the config file is wrong.
        Unreachable: no server answers there.
    """
    config = configuration(environment)
    address = config.get("target_host", DEFAULT_ADDRESS)
    converter = DataConverter.default if codec is None else data_converter(codec)
    try:
        return await Client.connect(
            **config,
            data_converter=converter,
            header_codec_behavior=HeaderCodecBehavior.CODEC,
            connect_timeout=CONNECT_TIMEOUT,
        )
    except ValueError as error:
        raise NotConfigured(f"the Temporal address {address!r}: {error}") from None
    except (RuntimeError, RPCError):
        raise Unreachable(f"Temporal does not answer at {address}") from None
