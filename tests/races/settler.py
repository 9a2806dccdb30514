"""A process that settles payments as it is told, for proofs that several do it at once or that one dies amid it.

`python -m tests.races.settler` reads one JSON line: the database, a key for sealing, what to settle, how many at once,
and the place at which it is to be killed, if any. It prints how often each outcome came.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from numberdesk.base import crash_points
from numberdesk.base.crypto import Vault
from numberdesk.base.db import open_database
from numberdesk.base.limits import NUMBERS, Limiter
from numberdesk.base.money import Paise
from numberdesk.payments import service as payments
from numberdesk.payments.model import Proof, RechargeId
from numberdesk.payments.service import Supplier, Till
from tests.payments.stage import RULES

ROOT = Path(__file__).resolve().parents[2]
PAID_AT = datetime(2026, 11, 26, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Work:
    """What one process does."""

    url: str
    key: str
    payments: list[tuple[str, int, int]]
    """(external id, recharge, paise), in the order in which they are delivered."""
    at_once: int
    killed_at: str | None = None


async def run(work: Work) -> tuple[int, Counter[str]]:
    """Do work in a process of its own; returns its status and how often each outcome came."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.races.settler", cwd=ROOT, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
    )  # fmt: skip
    out, _ = await process.communicate(json.dumps(asdict(work)).encode())
    return process.returncode or 0, Counter(json.loads(out or b"{}"))


async def _settle(work: Work) -> Counter[str]:
    db = await open_database(work.url, size=4)
    try:
        till = Till(
            db, Vault([work.key]), Limiter(db, numbers=NUMBERS), RULES, Supplier("Acme", "", "R"), {}, None, None
        )
        found: Counter[str] = Counter()
        for start in range(0, len(work.payments), work.at_once):
            proofs = [
                Proof(
                    "razorpay", external_id, "gateway", PAID_AT, amount_paise=Paise(paise), recharge_id=RechargeId(one)
                )
                for external_id, one, paise in work.payments[start : start + work.at_once]
            ]
            found.update(item.outcome for item in await payments.settle(till, proofs))
        return found
    finally:
        await db.close()


def main() -> None:
    """Read the work, do it, and tell."""
    work = Work(**json.loads(sys.stdin.readline()))

    def die_at(name: str) -> None:
        if name == work.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    crash_points.reached = die_at
    sys.stdout.write(json.dumps(asyncio.run(_settle(work))))


if __name__ == "__main__":
    main()
