"""A proxy in front of PostgreSQL that loses answers: what a program sees when a connection breaks at the worst time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

PORT = 5432


@dataclass
class Proxy:
    """Cuts a connection instead of passing on the answer to COMMIT, as often as `lose` says."""

    url: str
    target: str
    lose: int = 0
    """How many answers to COMMIT are still to be lost."""
    lost: int = 0
    refuse_next: int = 0
    """How many new connections are still to be refused."""
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse_next > 0:
            self.refuse_next -= 1
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_unix_connection(self.target)
        pair = {writer, server_writer}
        self.writers |= pair
        await asyncio.gather(self.pump(reader, server_writer, pair), self.pump(server_reader, writer, pair))
        self.writers -= pair

    async def pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: set[asyncio.StreamWriter]
    ) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(65536):
                if b"COMMIT\0" in chunk and self.lose > 0:
                    self.lose -= 1
                    self.lost += 1
                    break
                writer.write(chunk)
                await writer.drain()
        for end in pair:
            end.transport.abort()


@asynccontextmanager
async def proxied(url: str, folder: Path) -> AsyncIterator[Proxy]:
    """Put a proxy in front of the server of `url`, listening in `folder`, which has a short path."""
    parts = urlsplit(url)
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    ours = parts._replace(query=urlencode(options | {"host": str(folder), "port": PORT})).geturl()
    proxy = Proxy(url=ours, target=f"{options['host']}/.s.PGSQL.{options['port']}")
    server = await asyncio.start_unix_server(proxy.serve, folder / f".s.PGSQL.{PORT}")
    try:
        yield proxy
    finally:
        server.close()
        for writer in proxy.writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)
