"""Reading a stream of server-sent events line by line."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from numberdesk.client.model import Event

STREAM_PATH = "/orders/stream"
SILENCE_MAX = 40.0
"""Seconds without a byte after which a connection counts as dead: the server sends a sign of life more often."""


@dataclass
class EventReader:
    """Puts lines together to events, and remembers the last one for resuming after a cut."""

    last_id: str | None = None
    _rest: bytes = b""
    """The beginning of a line whose end is still to come."""
    _data: list[str] = field(default_factory=list)
    _id: str | None = None
    _name: str = ""

    def read(self, part: bytes) -> Iterator[Event]:
        """Take what came; yields the events that it ends. Only a line feed ends a line: a text may hold all others."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            if (event := self.feed(line.removesuffix(b"\r").decode(errors="replace"))) is not None:
                yield event

    def feed(self, line: str) -> Event | None:
        """Take one line; returns an event when the line ends one. Comments and unknown fields are passed over."""
        if line == "":
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        elif name == "event":
            self._name = value
        return None

    def _end(self) -> Event | None:
        data, name = "\n".join(self._data), self._name
        if self._id is not None:
            self.last_id = self._id or None
        self._data, self._id, self._name = [], None, ""
        return msgspec.json.decode(data, type=Event) if data and name.startswith("order.") else None

    def resuming(self) -> dict[str, str]:
        """Forget what was cut off, and return the headers that continue after what was read."""
        self._rest, self._data, self._id, self._name = b"", [], None, ""
        return {"Accept": "text/event-stream"} | ({"Last-Event-ID": self.last_id} if self.last_id else {})
