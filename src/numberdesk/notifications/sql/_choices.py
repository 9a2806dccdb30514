"""Every statement on what accounts want to be told, and on their chats."""

from collections.abc import Sequence

from numberdesk.base.db import Tx, many, maybe, run, value
from numberdesk.notifications.model import Choices, CodeReader, LinkState, Low


async def list_choices(tx: Tx, account_ids: Sequence[int]) -> list[Choices]:
    """Return what accounts want to be told; a chat counts while the bot runs and reaches it."""
    return await many(
        tx,
        Choices,
        """
        SELECT account.id AS account_id, account.notify_by_email, account.notify_by_telegram,
            coalesce(choice.switched_on, '{}') AS switched_on, coalesce(choice.switched_off, '{}') AS switched_off,
            link.state IS NOT DISTINCT FROM 'on' AND channel.bot_name IS NOT NULL AS is_linked,
            choice.low_balance_paise
        FROM accounts AS account
        LEFT JOIN notice_choices AS choice ON choice.account_id = account.id
        LEFT JOIN telegram_links AS link ON link.account_id = account.id
        LEFT JOIN telegram_channel AS channel ON true
        WHERE account.id = ANY($1::bigint[])
        """,
        account_ids,
    )


async def set_switches(tx: Tx, account_id: int, *, on: Sequence[str], off: Sequence[str]) -> None:
    """Switch words such as `email:recharge` on and off; others stay."""
    await run(
        tx,
        """
        INSERT INTO notice_choices AS choice (account_id, switched_on, switched_off) VALUES ($1, $2, $3)
        ON CONFLICT (account_id) DO UPDATE SET
            switched_on = ARRAY(
                SELECT DISTINCT word FROM unnest(choice.switched_on || $2::text[]) AS word
                WHERE word <> ALL($3::text[]) ORDER BY word),
            switched_off = ARRAY(
                SELECT DISTINCT word FROM unnest(choice.switched_off || $3::text[]) AS word
                WHERE word <> ALL($2::text[]) ORDER BY word)
        """,
        account_id,
        on,
        off,
    )


async def set_codes_from_now(tx: Tx, account_id: int) -> None:
    """Send an account's chat the codes that come from now on."""
    await run(
        tx,
        """
        UPDATE notice_choices SET code_seq = coalesce(
            (SELECT last_seq FROM event_counters WHERE event_counters.account_id = $1), 0)
        WHERE notice_choices.account_id = $1
        """,
        account_id,
    )


async def lease_code_readers(tx: Tx, *, limit: int) -> list[CodeReader]:
    """Take accounts that want their codes by Telegram and have news, until the end of this transaction.

    Those that are banned or closed are told nothing, as by every other way.
    """
    return await many(
        tx,
        CodeReader,
        """
        SELECT choice.account_id, choice.code_seq AS seq, counter.last_seq
        FROM notice_choices AS choice JOIN event_counters AS counter USING (account_id)
        JOIN accounts AS account ON account.id = account_id AND account.state NOT IN ('banned', 'closed')
        WHERE 'telegram:code' = ANY (choice.switched_on) AND counter.last_seq > choice.code_seq
        ORDER BY account_id LIMIT $1 FOR UPDATE OF choice SKIP LOCKED
        """,
        limit,
    )


async def set_codes_told(tx: Tx, told: Sequence[tuple[int, int]]) -> int:
    """Note up to which of its events each account's codes were told."""
    return await run(
        tx,
        """
        UPDATE notice_choices AS choice SET code_seq = told.seq
        FROM unnest($1::bigint[], $2::bigint[]) AS told (account_id, seq)
        WHERE choice.account_id = told.account_id AND choice.code_seq < told.seq
        """,
        [account_id for account_id, _ in told],
        [seq for _, seq in told],
    )


async def set_low_balance(tx: Tx, account_id: int, paise: int | None) -> None:
    """Set below which balance an account is told; it counts anew."""
    await run(
        tx,
        """
        INSERT INTO notice_choices (account_id, low_balance_paise) VALUES ($1, $2)
        ON CONFLICT (account_id) DO UPDATE SET low_balance_paise = $2, is_low = false
        """,
        account_id,
        paise,
    )


async def lease_low(tx: Tx, *, limit: int) -> list[Low]:
    """Take accounts whose balance fell below what they set; noted as told with this transaction."""
    return await many(
        tx,
        Low,
        """
        WITH low AS (
            SELECT choice.account_id, wallet.available_paise FROM notice_choices AS choice
            JOIN wallets AS wallet USING (account_id)
            WHERE choice.low_balance_paise IS NOT NULL AND NOT choice.is_low
                AND wallet.available_paise < choice.low_balance_paise
            ORDER BY account_id LIMIT $1 FOR UPDATE OF choice SKIP LOCKED
        )
        UPDATE notice_choices AS choice SET is_low = true, low_count = low_count + 1
        FROM low WHERE choice.account_id = low.account_id
        RETURNING choice.account_id, choice.low_balance_paise, low.available_paise, choice.low_count
        """,
        limit,
    )


async def set_not_low(tx: Tx, *, limit: int) -> int:
    """Note that balances are above what was set again, so that the next fall is told."""
    return await run(
        tx,
        """
        UPDATE notice_choices SET is_low = false WHERE account_id IN (
            SELECT choice.account_id FROM notice_choices AS choice JOIN wallets AS wallet USING (account_id)
            WHERE choice.low_balance_paise IS NOT NULL AND choice.is_low
                AND wallet.available_paise >= choice.low_balance_paise
            ORDER BY choice.account_id LIMIT $1 FOR UPDATE OF choice SKIP LOCKED)
        """,
        limit,
    )


async def find_link_state(tx: Tx, account_id: int) -> LinkState:
    """Return what an account reads of its chat."""
    found = await maybe(
        tx,
        LinkState,
        """
        SELECT channel.bot_name, link.state, link.problem, link.linked_at
        FROM (SELECT) AS always
        LEFT JOIN telegram_channel AS channel ON true
        LEFT JOIN telegram_links AS link ON link.account_id = $1
        """,
        account_id,
    )
    return found or LinkState(None, None, None, None)


async def upsert_code(tx: Tx, account_id: int, code_hash: bytes, *, minutes: int) -> None:
    """Keep the code by which an account links its chat; the one before is worth nothing any more."""
    await run(
        tx,
        """
        INSERT INTO telegram_codes (account_id, code_hash, expires_at)
        VALUES ($1, $2, clock_timestamp() + make_interval(mins => $3))
        ON CONFLICT (account_id) DO UPDATE SET code_hash = excluded.code_hash, expires_at = excluded.expires_at
        """,
        account_id,
        code_hash,
        minutes,
    )


async def has_codes(tx: Tx) -> bool:
    """Tell whether anybody may link a chat just now."""
    found: bool = await value(tx, "SELECT EXISTS (SELECT FROM telegram_codes WHERE expires_at > clock_timestamp())")
    return found


async def delete_code(tx: Tx, code_hash: bytes) -> int | None:
    """Use up a code; returns its account, or None when it is none or too old."""
    found: int | None = await value(
        tx,
        "DELETE FROM telegram_codes WHERE code_hash = $1 AND expires_at > clock_timestamp() RETURNING account_id",
        code_hash,
    )
    return found


async def delete_old_codes(tx: Tx) -> int:
    """Forget codes that are too old."""
    return await run(tx, "DELETE FROM telegram_codes WHERE expires_at < clock_timestamp() - interval '1 hour'")


async def set_linked(tx: Tx, account_id: int, chat_id: int) -> list[int]:
    """Make a chat an account's own; returns the accounts that lose it, since a chat is of one account."""
    losers = [
        int(number)
        for number in await value(
            tx,
            """
            WITH gone AS (
                DELETE FROM telegram_links WHERE chat_id = $2 AND account_id <> $1 RETURNING account_id
            ) SELECT coalesce(array_agg(account_id), '{}') FROM gone
            """,
            account_id,
            chat_id,
        )
    ]
    await run(
        tx,
        """
        INSERT INTO telegram_links (account_id, chat_id) VALUES ($1, $2)
        ON CONFLICT (account_id) DO UPDATE SET chat_id = excluded.chat_id, linked_at = clock_timestamp(), state = 'on',
            problem = NULL
        """,
        account_id,
        chat_id,
    )
    return losers


async def delete_link(tx: Tx, account_id: int) -> bool:
    """Forget an account's chat and its code; False when it had neither."""
    codes = await run(tx, "DELETE FROM telegram_codes WHERE account_id = $1", account_id)
    return bool(codes + await run(tx, "DELETE FROM telegram_links WHERE account_id = $1", account_id))
