"""Statements on addresses of TRON, samples of rates and quotes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from numberdesk.base.db import Tx, columns, many, maybe, one, rows, run, value
from numberdesk.payments.methods.rate_sources import Sample
from numberdesk.payments.model import AddressId, Asset, Basis, Quote, TronAddress
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class AtBalance:
    """An address with what stood there at the last reconciliation."""

    id: AddressId
    address: str
    balance_sun: int | None
    balance_usdt: int | None
    seen_sun: int
    seen_usdt: int
    known_sun: int
    """Everything that is known to have come in until now."""
    known_usdt: int


async def insert_wallet(tx: Tx, fingerprint: str) -> None:
    """Know a wallet whose first address the operator has confirmed."""
    await run(tx, "INSERT INTO tron_wallets (fingerprint) VALUES ($1) ON CONFLICT DO NOTHING", fingerprint)


async def find_address(tx: Tx, *, fingerprint: str, account_id: AccountId) -> TronAddress | None:
    """Return an account's address of a wallet."""
    return await maybe(
        tx, TronAddress, "SELECT * FROM tron_addresses WHERE fingerprint = $1 AND account_id = $2",
        fingerprint, account_id,
    )  # fmt: skip


async def get_address(tx: Tx, address_id: AddressId) -> TronAddress:
    """Return an address."""
    return await one(tx, TronAddress, "SELECT * FROM tron_addresses WHERE id = $1", address_id)


async def find_by_address(tx: Tx, addresses: Sequence[str]) -> list[TronAddress]:
    """Return those of our addresses that are among these."""
    return await many(tx, TronAddress, "SELECT * FROM tron_addresses WHERE address = ANY($1::text[])", addresses)


async def take_index(tx: Tx, fingerprint: str) -> int:
    """Return an index of a wallet that nobody had and nobody will have again."""
    taken: int = await value(
        tx,
        "UPDATE tron_wallets SET next_index = next_index + 1 WHERE fingerprint = $1 RETURNING next_index - 1",
        fingerprint,
    )
    return taken


async def skip_indexes(tx: Tx, count: int) -> int:
    """Leave out so many indexes of every wallet; returns how many wallets there are."""
    return await run(
        tx, "UPDATE tron_wallets SET next_index = next_index + $1 WHERE next_index + $1 <= 2147483648", count
    )


async def insert_address(tx: Tx, *, address: str, fingerprint: str, index: int, account_id: AccountId) -> TronAddress:
    """Give an address to an account; a second one for it breaks `tron_addresses_account`."""
    return await one(
        tx,
        TronAddress,
        "INSERT INTO tron_addresses (address, fingerprint, index, account_id) VALUES ($1, $2, $3, $4) RETURNING *",
        address,
        fingerprint,
        index,
        account_id,
    )


async def set_hot(tx: Tx, address_id: AddressId, *, lasting: timedelta) -> None:
    """Look at an address often for a while, and soon."""
    await run(
        tx,
        """
        UPDATE tron_addresses SET hot_until = GREATEST(hot_until, clock_timestamp() + $2::interval),
                                  due_at = LEAST(due_at, clock_timestamp())
        WHERE id = $1
        """,
        address_id,
        lasting,
    )


async def lease_addresses(tx: Tx, *, lease: timedelta, limit: int) -> list[TronAddress]:
    """Take addresses whose history is due."""
    return await many(
        tx,
        TronAddress,
        """
        UPDATE tron_addresses SET due_at = clock_timestamp() + $1::interval
        WHERE id = ANY(ARRAY(
            SELECT id FROM tron_addresses WHERE due_at <= clock_timestamp()
            ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        RETURNING *
        """,
        lease,
        limit,
    )


async def set_read(
    tx: Tx, address: TronAddress, *, read_to: datetime | None, is_behind: bool, hot: timedelta, warm: timedelta,
    cold: timedelta,
) -> None:  # fmt: skip
    """Write down up to when a history was read, and when the next look is due.

    Where somebody has set it back meanwhile, so that it is read again, that stands.

    Args:
        read_to: None when something could not be read, and is read again from where it was.
        is_behind: there is more to read at once.
        hot: until the next look while a payment is expected; `warm` for a week after; `cold` from then on.
    """
    await run(
        tx,
        """
        UPDATE tron_addresses
        SET read_to = GREATEST(read_to, $3::timestamptz),
            failing_since = CASE WHEN $3::timestamptz IS NULL THEN COALESCE(failing_since, clock_timestamp()) END,
            due_at = clock_timestamp() + CASE
                WHEN $4 OR hot_until > clock_timestamp() THEN $5::interval
                WHEN hot_until > clock_timestamp() - interval '7 days' THEN $6::interval ELSE $7::interval END
        WHERE id = $1 AND read_to = $2
        """,
        address.id,
        address.read_to,
        read_to,
        is_behind,
        hot,
        warm,
        cold,
    )


async def insert_samples(tx: Tx, samples: Sequence[Sample]) -> None:
    """Write what sources said."""
    await run(
        tx,
        """
        INSERT INTO rate_samples (asset, source, paise_per_unit, observed_at, valid_until)
        SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[], $4::timestamptz[], $5::timestamptz[])
        """,
        *columns(samples, "asset", "source", "paise_per_unit", "observed_at", "valid_until"),
    )


async def list_samples(tx: Tx, asset: Asset, *, since: timedelta) -> list[Sample]:
    """Return recent samples and the rates of staff that are still good, newest first."""
    return await many(
        tx,
        Sample,
        """
        SELECT * FROM rate_samples
        WHERE asset = $1 AND (valid_until > clock_timestamp()
                              OR (valid_until IS NULL AND observed_at > clock_timestamp() - $2::interval))
        ORDER BY observed_at DESC, id DESC LIMIT 1000
        """,
        asset,
        since,
    )


async def end_staff_rates(tx: Tx, asset: Asset) -> list[Decimal]:
    """Take back the rates that staff fixed; returns those that were in force."""
    found = await rows(
        tx,
        """
        UPDATE rate_samples SET valid_until = clock_timestamp()
        WHERE asset = $1 AND valid_until > clock_timestamp() RETURNING paise_per_unit
        """,
        asset,
    )
    return [row[0] for row in found]


async def delete_samples(tx: Tx, *, keep: timedelta, limit: int) -> int:
    """Delete samples of long ago; quotes keep their own."""
    return await run(
        tx,
        """
        DELETE FROM rate_samples WHERE id = ANY(ARRAY(
            SELECT id FROM rate_samples WHERE created_at < clock_timestamp() - $1::interval
            ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        """,
        keep,
        limit,
    )


async def insert_quote(
    tx: Tx, *, asset: Asset, paise_per_unit: Decimal, spread_bps: int, basis: Basis, samples: str, units: int,
    lifetime: timedelta,
) -> Quote:  # fmt: skip
    """Write a quote with the samples that it was made of."""
    return await one(
        tx,
        Quote,
        """
        INSERT INTO quotes (asset, paise_per_unit, spread_bps, basis, samples, units, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7) RETURNING *
        """,
        asset,
        paise_per_unit,
        spread_bps,
        basis,
        samples,
        units,
        lifetime,
    )


async def list_quotes(tx: Tx, quote_ids: Sequence[int]) -> list[Quote]:
    """Return quotes."""
    return await many(tx, Quote, "SELECT * FROM quotes WHERE id = ANY($1::bigint[])", quote_ids)


async def list_balances(tx: Tx, *, before: AddressId | None, limit: int) -> list[AtBalance]:
    """Return addresses with what is known to have come in there; `before` pages downwards."""
    return await many(
        tx,
        AtBalance,
        """
        SELECT address.*, known.sun AS known_sun, known.usdt AS known_usdt
        FROM tron_addresses AS address
        CROSS JOIN LATERAL (
            SELECT COALESCE(sum(units) FILTER (WHERE rail = 'trx'), 0)::bigint AS sun,
                   COALESCE(sum(units) FILTER (WHERE rail = 'usdt'), 0)::bigint AS usdt
            FROM external_payments AS payment WHERE payment.address_id = address.id
        ) AS known
        WHERE $1::bigint IS NULL OR address.id < $1
        ORDER BY address.id DESC LIMIT $2
        """,
        before,
        limit,
    )


async def set_balance(tx: Tx, address: AtBalance, *, sun: int, usdt: int) -> None:
    """Remember what stands at an address, and what of it was known."""
    await run(
        tx,
        """
        UPDATE tron_addresses SET balance_sun = $2, balance_usdt = $3, seen_sun = $4, seen_usdt = $5,
                                  balance_at = clock_timestamp()
        WHERE id = $1
        """,
        address.id,
        sun,
        usdt,
        address.known_sun,
        address.known_usdt,
    )


async def set_unread(tx: Tx, address_id: AddressId, *, since: timedelta) -> None:
    """Have an address's history read again from long ago: something there is not known."""
    await run(
        tx,
        """
        UPDATE tron_addresses SET read_to = LEAST(read_to, clock_timestamp() - $2::interval), due_at = clock_timestamp()
        WHERE id = $1
        """,
        address_id,
        since,
    )
