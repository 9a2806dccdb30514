"""Deciding the lines of one transaction of the ledger, and writing them in one statement."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from numberdesk.base.db import Tx
from numberdesk.wallet import sql
from numberdesk.wallet.model import AccountId, Bucket, CauseType, PostingKind, Wallet


@dataclass
class Purse:
    """A wallet while its lines are decided, and what it was before."""

    available: int
    held: int
    version: int
    start: Wallet


@dataclass
class Book:
    """The lines of one transaction while they are decided: wallets are locked, so what is computed here is true."""

    purses: dict[int, Purse]
    lines: list[sql.Line] = field(default_factory=list)
    system: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def post(
        self, kind: PostingKind, cause_type: CauseType, cause_id: str, *moves: tuple[AccountId | None, Bucket, int]
    ) -> None:
        """Add one posting; its moves sum to zero."""
        assert sum(amount for _, _, amount in moves) == 0, "a posting must sum to zero"
        for account_id, bucket, amount in moves:
            after = version = None
            if account_id is None:
                self.system[bucket] += amount
            else:
                purse = self.purses[account_id]
                after = (purse.available if bucket == "available" else purse.held) + amount
                assert after >= 0, "a wallet would become negative"
                if bucket == "available":
                    purse.available = after
                else:
                    purse.held = after
                purse.version = version = purse.version + 1
            self.lines.append(sql.Line(kind, cause_type, cause_id, account_id, bucket, amount, after, version))

    async def write(self, tx: Tx) -> None:
        """Write everything in one statement."""
        if not self.lines:
            return
        changes = [
            sql.Change(
                account_id,
                purse.available - purse.start.available_paise,
                purse.held - purse.start.held_paise,
                purse.version - purse.start.version,
            )
            for account_id, purse in self.purses.items()
            if purse.version != purse.start.version
        ]
        await sql.insert_lines(tx, self.lines, changes, list(self.system.items()))


async def open_book(tx: Tx, account_ids: Iterable[int]) -> Book:
    """Lock wallets in ascending order and begin to decide what happens to them."""
    wallets = await sql.lock_wallets(tx, sorted(set(account_ids)))
    return Book(
        {wallet.account_id: Purse(wallet.available_paise, wallet.held_paise, wallet.version, wallet)
         for wallet in wallets}
    )  # fmt: skip
