"""Everything that one process watches, opened together."""

from dataclasses import dataclass

from numberdesk.base.db import Database
from numberdesk.catalogue.service import Shelf
from numberdesk.monitoring.service._board import StatusBoard
from numberdesk.monitoring.service._exposition import Exposition
from numberdesk.monitoring.service._pulse import Heart


@dataclass(frozen=True, slots=True)
class Watch:
    """What the pages of monitoring are answered from, and the process' own heart."""

    heart: Heart
    exposition: Exposition
    board: StatusBoard
    token: str | None
    """What opens the metrics; None keeps them closed."""


def open_watch(db: Database, shelf: Shelf, *, token: str | None) -> Watch:
    """Return what a process watches; nothing is read yet."""
    return Watch(Heart(db), Exposition(db), StatusBoard(db, shelf), token)
