"""Customers with money, for tests of the ledger."""

from numberdesk.base.db import Database, rows, run
from numberdesk.base.money import Paise
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Credit, HoldWanted


async def add_customers(db: Database, *balances: int) -> list[AccountId]:
    """Make one account per balance, each with a wallet that was recharged once if the balance is not zero."""
    async with db.transaction() as tx:
        account_ids = [
            AccountId(row[0])
            for row in await rows(
                tx,
                "INSERT INTO accounts (email) SELECT gen_random_uuid() || '@example.com' FROM generate_series(1, $1)"
                " RETURNING id",
                len(balances),
            )
        ]
        await wallet.open_wallets(tx, account_ids)
        await wallet.credit(
            tx,
            [
                Credit(account_id, Paise(balance), "recharge", f"RC{account_id}")
                for account_id, balance in zip(account_ids, balances, strict=True)
                if balance
            ],
        )
    return account_ids


def wanted(account_id: AccountId, order_id: int, paise: int, *, purpose: str = "number:1") -> HoldWanted:
    return HoldWanted(account_id, order_id, purpose, Paise(paise))


async def hold(db: Database, *items: HoldWanted) -> list[wallet.InsufficientBalance | None]:
    async with db.transaction() as tx:
        return await wallet.hold(tx, items)


async def capture(db: Database, *order_ids: int) -> dict[int, Paise]:
    async with db.transaction() as tx:
        return dict(await wallet.capture(tx, order_ids))


async def void(db: Database, *order_ids: int) -> dict[int, Paise]:
    async with db.transaction() as tx:
        return dict(await wallet.void(tx, order_ids))


async def refund(db: Database, order_id: int, *, purpose: str = "number:1") -> int:
    async with db.transaction() as tx:
        return (await wallet.refund(tx, order_id=order_id, purpose=purpose)).amount_paise


async def balances(db: Database, account_id: AccountId) -> tuple[int, int]:
    """Return what is available and what is held."""
    found = await wallet.balance(db, account_id)
    return found.available_paise, found.held_paise


async def add_orders_of_holds(db: Database) -> None:
    """Write the orders that explain the holds: a live one is being requested, a captured one paid, a voided one failed.

    What has holds for more hours is a rental, and goes on as long as one of them is live.

    Orders are written by verbs everywhere else; tests of the ledger alone have holds without them.
    """
    async with db.transaction() as tx:
        for statement in (
            "INSERT INTO services (code, name, category) VALUES ('tg', 'Telegram', 'social') ON CONFLICT DO NOTHING",
            "INSERT INTO countries (code, iso, name, calling_code, iso_default) VALUES (22, 'IN', 'India', '91', true)"
            " ON CONFLICT DO NOTHING",
            "INSERT INTO providers (name, kind, url, api_key_sealed) VALUES ('alpha', 'sms-activate', '', '')"
            " ON CONFLICT DO NOTHING",
            """
            WITH made AS (
                INSERT INTO orders (id, account_id, service, country, operator, provider_id, price_paise, cost_paise,
                                    state, request_key, request_item, request_token, upstream_id, number,
                                    created_at, sent_at, expires_at, ended_at, changed_at, hours, is_prolonging)
                OVERRIDING SYSTEM VALUE
                SELECT order_id, account_id, 'tg', 22, 'any', (SELECT min(id) FROM providers), amount_paise, 1,
                       CASE state WHEN 'held' THEN 'requested' WHEN 'voided' THEN 'failed'
                                  ELSE CASE WHEN is_prolonging THEN 'received' ELSE 'completed' END END,
                       order_id, 0, 0, CASE state WHEN 'captured' THEN 'u' || order_id END,
                       CASE state WHEN 'captured' THEN (910000000000 + order_id)::text END,
                       created_at, created_at, created_at, CASE WHEN NOT is_prolonging THEN ended_at END, created_at,
                       CASE WHEN longer > 0 THEN 4 END, is_prolonging
                FROM holds, LATERAL (
                    SELECT count(*) AS longer, count(*) FILTER (WHERE more.state = 'held') > 0 AS is_prolonging
                    FROM holds AS more WHERE more.order_id = holds.order_id AND starts_with(more.purpose, 'prolong:')
                ) AS rented
                WHERE purpose = 'number:1' AND order_id NOT IN (SELECT id FROM orders)
                RETURNING *
            )
            INSERT INTO activations (provider_id, upstream_id, order_id)
            SELECT provider_id, upstream_id, id FROM made WHERE upstream_id IS NOT NULL
            """,
            """
            INSERT INTO prolongations (id, order_id, request_key, hours, price_paise, cost_paise, state, provider_id,
                                       upstream_id, ended_before, sent_at, settled_at)
            OVERRIDING SYSTEM VALUE
            SELECT split_part(purpose, ':', 2)::bigint, order_id, purpose, 4, amount_paise, 1,
                   CASE holds.state WHEN 'held' THEN 'unknown' WHEN 'captured' THEN 'done' ELSE 'refused' END,
                   orders.provider_id, orders.upstream_id, holds.created_at, holds.created_at, holds.ended_at
            FROM holds JOIN orders ON orders.id = order_id
            WHERE starts_with(purpose, 'prolong:') AND purpose NOT IN (SELECT request_key FROM prolongations)
            """,
        ):
            await run(tx, statement)
