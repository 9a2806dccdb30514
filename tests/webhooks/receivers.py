"""Receivers of webhooks on loopback: one that takes what it gets and remembers it, and hostile ones, byte by byte."""

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from numberdesk.base import clock

Writer = asyncio.StreamWriter
Conduct = Callable[["Receiver", Writer], Awaitable[None]]


@dataclass(frozen=True)
class Got:
    """One POST as it came. Names of headers are in small letters."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """A server that reads one POST from each connection and then does as its conduct says."""

    conduct: Conduct
    port: int = 0
    got: list[Got] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    sent: int = 0
    """Bytes of a body that left for the sender."""
    names: list[str | None] = field(default_factory=list)
    """The names that clients asked for by TLS."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def by_sequence(self) -> list[Got]:
        """What came, in the order in which it happened: two POSTs may overtake each other."""
        return sorted(self.got, key=lambda item: int(item.headers["numberdesk-sequence"]))

    @property
    def ids(self) -> list[str]:
        return [item.headers["webhook-id"] for item in self.got]

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.rstrip().split("\r\n")
                headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.got.append(Got(first.split(" ")[1], headers, body, clock.seconds()))
                await self.conduct(self, writer)
        finally:
            self.open -= 1
            writer.transport.abort()


@asynccontextmanager
async def receiving(conduct: Conduct, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver for as long as the block lasts."""
    receiver = Receiver(conduct)
    running: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await receiver.serve(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            running.discard(task)

    if tls is not None:
        tls.sni_callback = lambda _, name, __: receiver.names.append(name)
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def answering(status: int = 200, *, body: bytes = b"ok", headers: str = "", after: float = 0.0) -> Conduct:
    """Answer with a status, at once or after so many seconds."""

    async def conduct(_receiver: Receiver, writer: Writer) -> None:
        await asyncio.sleep(after)
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)
        await writer.drain()

    return conduct


def saying(statuses: list[int]) -> Conduct:
    """Answer with one status after the other, the last one for ever."""
    left = itertools.chain(statuses, itertools.repeat(statuses[-1]))

    async def conduct(receiver: Receiver, writer: Writer) -> None:
        await answering(next(left))(receiver, writer)

    return conduct


async def hang(_receiver: Receiver, _writer: Writer) -> None:
    """Say nothing."""
    await asyncio.sleep(60)


async def drip_head(_receiver: Receiver, writer: Writer) -> None:
    """Send the head of an answer, a byte at a time, without end."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.1)


async def drip_body(receiver: Receiver, writer: Writer) -> None:
    """Say that it was taken, and then send the body a byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b"a")
        await writer.drain()
        receiver.sent += 1
        await asyncio.sleep(0.05)


async def continue_for_ever(_receiver: Receiver, writer: Writer) -> None:
    """Send one 100 Continue after the other."""
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def flood(receiver: Receiver, writer: Writer) -> None:
    """Say that it was taken, and then send 2 GB as fast as they are read."""
    writer.transport.set_write_buffer_limits(high=65536)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n")
    block = bytes(65536)
    while receiver.sent < 2**31:
        writer.write(block)
        await writer.drain()
        receiver.sent += len(block)


async def bomb(_receiver: Receiver, writer: Writer) -> None:
    """Claim that what is no gzip is gzip."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")
    await writer.drain()
    await asyncio.sleep(0.05)


async def close(_receiver: Receiver, _writer: Writer) -> None:
    """Hang up without a word."""


async def talk_nonsense(_receiver: Receiver, writer: Writer) -> None:
    """Speak another protocol."""
    writer.write(b"220 mail.example.com ESMTP\r\n" * 3)
    await writer.drain()
    await asyncio.sleep(0.05)


def certificate_for(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the context of a server called so, and that of a client which trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=file)
