"""Every statement on where notices go besides mail, and on the channel to Telegram."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.db import Tx, many, maybe, run
from numberdesk.notifications.model import StaffChannel, StaffKind, Trouble


@dataclass(frozen=True, slots=True)
class StaffTarget:
    """Where events for the staff go."""

    channel: StaffChannel
    kinds: list[StaffKind]
    chat_id: int | None
    thread_id: int | None
    state: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class ChannelState:
    """The row of `telegram_channel`."""

    next_update: int
    bot_name: str | None


async def set_target(
    tx: Tx, channel: StaffChannel, *, kinds: Sequence[StaffKind], chat_id: int | None, thread_id: int | None
) -> None:
    """Set where events go, and switch it on. A chat that became another one stays that, until the setting changes."""
    await run(
        tx,
        """
        INSERT INTO staff_targets AS there (channel, kinds, configured, chat_id, thread_id) VALUES ($1, $2, $3, $3, $4)
        ON CONFLICT (channel) DO UPDATE SET
            kinds = excluded.kinds, thread_id = excluded.thread_id, configured = excluded.configured,
            chat_id = CASE WHEN there.configured = excluded.configured THEN there.chat_id ELSE excluded.chat_id END,
            state = 'on', problem = NULL, off_at = NULL
        """,
        channel,
        kinds,
        chat_id,
        thread_id,
    )


async def delete_target(tx: Tx, channel: StaffChannel) -> bool:
    """Have events not go there any more."""
    return bool(await run(tx, "DELETE FROM staff_targets WHERE channel = $1", channel))


async def find_target(tx: Tx, channel: StaffChannel) -> StaffTarget | None:
    """Return where events for the staff go by a channel."""
    return await maybe(tx, StaffTarget, "SELECT * FROM staff_targets WHERE channel = $1", channel)


async def list_wanted(tx: Tx, kinds: Sequence[StaffKind]) -> list[StaffTarget]:
    """Return the targets that are on and get one of these kinds."""
    return await many(
        tx,
        StaffTarget,
        "SELECT * FROM staff_targets WHERE state = 'on' AND kinds && $1::text[] ORDER BY channel",
        kinds,
    )


async def set_target_off(tx: Tx, channel: StaffChannel, *, chat_id: int | None, problem: str) -> bool:
    """on -> off, and to be told of; False when it was off, or is another chat by now."""
    return bool(
        await run(
            tx,
            """
            UPDATE staff_targets SET state = 'off', problem = $3, off_at = clock_timestamp(), told_at = NULL
            WHERE channel = $1 AND chat_id IS NOT DISTINCT FROM $2 AND state = 'on'
            """,
            channel,
            chat_id,
            problem,
        )
    )


async def set_target_on(tx: Tx, channel: StaffChannel) -> bool:
    """off -> on."""
    return bool(
        await run(
            tx,
            """
            UPDATE staff_targets SET state = 'on', problem = NULL, off_at = NULL
            WHERE channel = $1 AND state = 'off'
            """,
            channel,
        )
    )


async def set_moved(tx: Tx, *, chat_id: int, to: int) -> int:
    """Follow a chat that became another one; returns how many rows named it."""
    moved = await run(tx, "UPDATE staff_targets SET chat_id = $2 WHERE chat_id = $1", chat_id, to)
    return moved + await run(
        tx,
        """
        UPDATE telegram_links SET chat_id = $2
        WHERE chat_id = $1 AND NOT EXISTS (SELECT FROM telegram_links WHERE chat_id = $2)
        """,
        chat_id,
        to,
    )


async def lease_channel(tx: Tx, *, owner: str, seconds: int) -> ChannelState | None:
    """Take, keep or give back (0 seconds) the word with Telegram; None when another process has it."""
    return await maybe(
        tx,
        ChannelState,
        """
        INSERT INTO telegram_channel AS channel (owner, leased_until)
        VALUES ($1, clock_timestamp() + make_interval(secs => $2))
        ON CONFLICT (one) DO UPDATE SET owner = excluded.owner, leased_until = excluded.leased_until
        WHERE channel.owner IS NULL OR channel.owner = $1 OR channel.leased_until < clock_timestamp()
        RETURNING *
        """,
        owner,
        seconds,
    )


async def set_read(tx: Tx, *, next_update: int) -> None:
    """Note what was read of what people wrote to the bot."""
    await run(tx, "UPDATE telegram_channel SET next_update = $1 WHERE next_update < $1", next_update)


async def set_bot(tx: Tx, *, name: str | None) -> None:
    """Note the bot's name; None: customers have none."""
    await run(tx, "UPDATE telegram_channel SET bot_name = $1 WHERE bot_name IS DISTINCT FROM $1", name)


async def set_stopped(tx: Tx, *, token_mark: str) -> None:
    """Note that Telegram does not know the token; each token is told of once."""
    await run(
        tx,
        """
        UPDATE telegram_channel SET stopped_at = clock_timestamp(), stopped_for = $1,
            told_at = CASE WHEN stopped_for IS NOT DISTINCT FROM $1 THEN told_at END
        """,
        token_mark,
    )


async def set_working(tx: Tx) -> bool:
    """Note that Telegram takes messages again; False when nobody doubted it."""
    return bool(
        await run(
            tx,
            """
            UPDATE telegram_channel SET stopped_at = NULL, stopped_for = NULL, told_at = NULL
            WHERE stopped_at IS NOT NULL
            """,
        )
    )


async def lease_trouble(tx: Tx) -> list[Trouble]:
    """Take what the staff must be told of by another way, each once: noted as told with this transaction."""
    found = await many(
        tx,
        Trouble,
        """
        UPDATE staff_targets SET told_at = clock_timestamp() WHERE state = 'off' AND told_at IS NULL
        RETURNING channel, problem, off_at AS at
        """,
    )
    return found + await many(
        tx,
        Trouble,
        """
        UPDATE telegram_channel SET told_at = clock_timestamp() WHERE stopped_at IS NOT NULL AND told_at IS NULL
        RETURNING 'telegram' AS channel, 'Telegram does not know the bot''s token' AS problem, stopped_at AS at
        """,
    )


@dataclass(frozen=True, slots=True)
class Link:
    """The chat of an account."""

    account_id: int
    chat_id: int
    state: str
    problem: str | None
    linked_at: datetime


async def list_links(tx: Tx, account_ids: Sequence[int]) -> list[Link]:
    """Return the chats of accounts, also those that are off."""
    return await many(tx, Link, "SELECT * FROM telegram_links WHERE account_id = ANY($1::bigint[])", account_ids)


async def set_link_off(tx: Tx, *, chat_id: int, problem: str) -> bool:
    """on -> off: its owner blocked the bot, or closed the chat."""
    return bool(
        await run(
            tx,
            "UPDATE telegram_links SET state = 'off', problem = $2 WHERE chat_id = $1 AND state = 'on'",
            chat_id,
            problem,
        )
    )
