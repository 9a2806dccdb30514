"""How the parts of the service are, as its customers would say it: judged three times a minute, counted by days."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from numberdesk.base import clock
from numberdesk.base.db import Database, Tx
from numberdesk.monitoring import sql
from numberdesk.monitoring.model import PartState
from numberdesk.monitoring.service._pulse import ALIVE_SECONDS

log = structlog.get_logger()

SHOWN_DAYS: Final = 30
KEPT_DAYS: Final = 40
UNSEEN: Final = timedelta(minutes=5)
"""Minutes longer ago than this that nobody counted were minutes without a worker: nothing was delivered in them."""
SERVER: Final = "server:"
"""What the names of providers begin with among the parts."""

FAILED_SHARE: Final = 0.05
ANSWERS_MIN: Final = 20
LATE_SECONDS: Final = 120
"""Overdue work from which codes and refunds come visibly late."""
LATE_NOTICES: Final = 600
SETTLED_MIN: Final = 20
"""Numbers of the last two hours from which their rate says something."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What the states are judged by."""

    servers: tuple[tuple[str, bool, bool], ...]
    """Name, switched on, shut."""
    web_processes: int
    answered: float
    failed: float
    """Requests since the last look, and of them those that failed on our side."""
    overdue_seconds: float
    notices_overdue: float
    webhooks_overdue: float
    payments_overdue: float
    now: tuple[int, int]
    """Numbers settled and delivered in the last two hours."""
    before: tuple[int, int]
    """The same of the day before."""


def judge(signs: Signs) -> list[tuple[str, PartState]]:
    """Return every part with its state.

    A part that staff have switched off for maintenance is no worse for it; what is switched off stands beside the parts
    in `/system/status`.
    """
    on = [(name, is_shut) for name, is_on, is_shut in signs.servers if is_on]
    shut = sum(is_shut for _, is_shut in on)
    is_failing = signs.answered >= ANSWERS_MIN and signs.failed > signs.answered * FAILED_SHARE
    states: list[tuple[str, PartState]] = [
        ("api", "down" if signs.web_processes == 0 else "degraded" if is_failing else "ok"),
        ("numbers", "down" if on and shut == len(on) else "degraded" if shut else "ok"),
        ("codes", _codes(signs)),
        ("payments", "degraded" if signs.payments_overdue > LATE_SECONDS else "ok"),
        ("notices", "degraded" if signs.notices_overdue > LATE_NOTICES else "ok"),
        ("webhooks", "degraded" if signs.webhooks_overdue > LATE_SECONDS else "ok"),
    ]
    return states + [(SERVER + name, "down" if is_shut else "ok") for name, is_shut in on]


def _codes(signs: Signs) -> PartState:
    settled, delivered = signs.now
    settled_before, delivered_before = signs.before
    if settled >= SETTLED_MIN:
        if delivered == 0:
            return "down"
        # Half of the usual rate, compared without dividing.
        if 2 * delivered * settled_before < delivered_before * settled:
            return "degraded"
    return "degraded" if signs.overdue_seconds > LATE_SECONDS else "ok"


@dataclass(slots=True)
class Judge:
    """Looks at the parts; remembers how many requests there were at its last look."""

    db: Database
    grace_seconds: float = ALIVE_SECONDS
    """For so long after the start nobody is missed: web processes may start meanwhile."""
    began: float = field(default_factory=clock.seconds)
    answered: float | None = None
    failed: float = 0.0

    async def look(self) -> int:
        """Judge every part and count the minutes since the last look; returns how many parts there are.

        Several workers may look: each minute is counted by one of them.
        """
        async with self.db.transaction() as tx:
            states = judge(await self._signs(tx))
            span = await sql.move_status_mark(tx)
            if span is not None:
                await sql.add_minutes(tx, states, since=span[0], until=span[1], patience=UNSEEN)
            await sql.set_parts(tx, states)
        return len(states)

    async def _signs(self, tx: Tx) -> Signs:
        answered, failed = await sql.list_request_totals(tx)
        new, self.answered = answered - (answered if self.answered is None else self.answered), answered
        new_failed, self.failed = failed - self.failed, failed
        queues = {queue: overdue for queue, _, overdue in await sql.list_queues(tx)}
        trend = await sql.list_delivery_trend(tx)
        processes = {row[0]: row[1] for row in await sql.list_processes(tx, seconds=ALIVE_SECONDS)}
        return Signs(
            servers=tuple((row[0], bool(row[1]), bool(row[2])) for row in await sql.list_providers(tx)),
            web_processes=processes["web"] or int(clock.seconds() - self.began < self.grace_seconds),
            answered=max(new, 0.0),
            failed=max(new_failed, 0.0),
            overdue_seconds=await sql.get_overdue_seconds(tx),
            notices_overdue=max((row[2] for row in await sql.list_outbox(tx)), default=0.0),
            webhooks_overdue=queues["customer_webhooks"],
            payments_overdue=max(queues["gateway_webhooks"], queues["statements"]),
            now=(trend[0], trend[1]),
            before=(trend[2], trend[3]),
        )


async def forget_days(db: Database) -> int:
    """Delete days that are not shown any more; returns how many."""
    async with db.statement() as tx:
        return await sql.delete_old_days(tx, days=KEPT_DAYS)
