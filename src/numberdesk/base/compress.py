"""Response compression: zstd, brotli or gzip, whichever the caller prefers."""

import gzip
from io import BytesIO
from typing import Any, ClassVar

import brotli
import zstandard
from litestar.config.compression import CompressionConfig
from litestar.datastructures import Headers
from litestar.middleware.compression import CompressionMiddleware
from litestar.middleware.compression.brotli_facade import BrotliCompression
from litestar.middleware.compression.facade import CompressionFacade
from litestar.middleware.compression.gzip_facade import GzipCompression
from litestar.types import Receive, Scope, Send

MINIMUM_BYTES = 1024
ZSTD_LEVEL = 5
BROTLI_QUALITY = 5
"""Its best quality takes seconds for two megabytes."""
AS_IT_IS = "as_it_is"
"""Option of a handler that compresses its answers itself."""


class ZstdCompression(CompressionFacade):
    """The framework's interface over zstandard."""

    encoding: ClassVar[str] = "zstd"

    def __init__(self, buffer: BytesIO, compression_encoding: str, config: CompressionConfig) -> None:
        self._buffer = buffer
        self._compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()

    def write(self, body: bytes) -> None:
        """Compress a part."""
        self._buffer.write(self._compressor.compress(body))
        self._buffer.write(self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))

    def close(self) -> None:
        """End the stream."""
        self._buffer.write(self._compressor.flush())


_FACADES: dict[str, type[CompressionFacade]] = {
    "zstd": ZstdCompression, "br": BrotliCompression, "gzip": GzipCompression,
}  # fmt: skip


class ThreeWayCompression(CompressionMiddleware):
    """The framework's middleware with one config per encoding, chosen by Accept-Encoding."""

    def __init__(self, app: Any, config: CompressionConfig) -> None:
        super().__init__(app, config)
        self._configs = {
            name: CompressionConfig(backend=name, compression_facade=facade, minimum_size=MINIMUM_BYTES)
            for name, facade in _FACADES.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compress the answer when the caller takes one of the encodings."""
        encoding = preferred(Headers.from_scope(scope).get("accept-encoding", ""))
        if encoding is None:
            await self.app(scope, receive, send)
            return
        middleware = CompressionMiddleware(self.app, self._configs[encoding])
        wrapped = middleware.create_compression_send_wrapper(send=send, compression_encoding=encoding, scope=scope)
        await self.app(scope, receive, wrapped)


def pack(body: bytes, encoding: str) -> bytes:
    """Compress a whole body, for a handler that keeps the result."""
    if encoding == "zstd":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)
    return brotli.compress(body, quality=BROTLI_QUALITY) if encoding == "br" else gzip.compress(body)


def preferred(accept_encoding: str) -> str | None:
    """Return our best encoding that the header allows; weight 0 forbids one, and so does a weightier `identity`.

    Source: RFC 9110, 12.5.3.
    """
    allowed: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        name, _, parameter = part.strip().partition(";")
        weight = parameter.strip().removeprefix("q=") if parameter else "1"
        try:
            allowed[name.strip()] = float(weight)
        except ValueError:
            allowed[name.strip()] = 0.0
    weights = {name: allowed.get(name, allowed.get("*", 0.0)) for name in _FACADES}
    plain = allowed.get("identity", 0.0)
    fitting = [name for name, weight in weights.items() if weight > 0 and weight >= plain]
    return max(fitting, key=lambda name: weights[name], default=None)


def config() -> CompressionConfig:
    """Return what the framework is given."""
    return CompressionConfig(
        backend="gzip", middleware_class=ThreeWayCompression, minimum_size=MINIMUM_BYTES, exclude_opt_key=AS_IT_IS
    )
