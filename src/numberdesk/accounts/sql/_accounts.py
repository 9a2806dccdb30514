"""Statements on accounts, where they were used from, and what they agreed to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from numberdesk.accounts.model import Person, Recipient, Role, Terms
from numberdesk.base.db import Tx, many, maybe, rows, run, value
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class UsedFrom:
    """An address that an account was used from."""

    ip: str
    first_seen_at: datetime
    last_seen_at: datetime


async def insert_accounts(
    tx: Tx, *, emails: Sequence[str], keys: Sequence[str], names: Sequence[str]
) -> list[AccountId]:
    """Write accounts that the operator makes, in the order given; a known address breaks `accounts_email_key`."""
    return [
        AccountId(row[0])
        for row in await rows(
            tx,
            """
            INSERT INTO accounts (email, email_key, name, verified_at)
            SELECT *, clock_timestamp() FROM unnest($1::text[], $2::text[], $3::text[]) RETURNING id
            """,
            emails,
            keys,
            names,
        )
    ]


async def insert_sandboxes(tx: Tx, owners: Sequence[AccountId]) -> list[AccountId]:
    """Write the sandboxes of accounts that have none; returns the new ones.

    A sandbox has no mailbox, no password and nobody who signs in: its address is one that can never be.
    """
    return [
        AccountId(row[0])
        for row in await rows(
            tx,
            """
            INSERT INTO accounts (id, sandbox_of, email, email_key, name, state, verified_at)
            OVERRIDING SYSTEM VALUE
            SELECT id + 1000000000000, id, format('sandbox-%s@sandbox.invalid', id), 'sandbox:' || id, 'Sandbox', state,
                   clock_timestamp()
            FROM accounts WHERE id = ANY($1::bigint[]) ORDER BY id
            ON CONFLICT (id) DO NOTHING
            RETURNING id
            """,
            owners,
        )
    ]


async def register(
    tx: Tx, *, email: str, email_key: str, name: str, password_hash: str, terms_version: int
) -> tuple[AccountId, bool] | None:
    """Write a new account, or the new sign-up of one that never proved its address; tells whether it is new.

    None when the address belongs to somebody who has proven it, or to the staff: nothing is changed then.
    """
    found = await rows(
        tx,
        """
        INSERT INTO accounts AS account (email, email_key, name, password_hash, password_changed_at, terms_version)
        VALUES ($1, $2, $3, $4, clock_timestamp(), $5)
        ON CONFLICT (email_key) DO UPDATE
            SET email = excluded.email, name = excluded.name, password_hash = excluded.password_hash,
                password_changed_at = clock_timestamp(), terms_version = excluded.terms_version,
                changed_at = clock_timestamp()
            WHERE account.verified_at IS NULL AND account.role = 'customer'
              AND account.state NOT IN ('banned', 'closed')
        RETURNING id, xmax = 0
        """,
        email,
        email_key,
        name,
        password_hash,
        terms_version,
    )
    return (AccountId(found[0][0]), bool(found[0][1])) if found else None


async def find_person(tx: Tx, account_id: AccountId) -> Person | None:
    """Return an account."""
    return await maybe(tx, Person, "SELECT * FROM people WHERE id = $1", account_id)


async def find_person_by_key(tx: Tx, email_key: str) -> Person | None:
    """Return the account of a mailbox."""
    return await maybe(tx, Person, "SELECT * FROM people WHERE email_key = $1", email_key)


async def lock_person(tx: Tx, account_id: AccountId) -> Person | None:
    """Return an account, and keep others from changing how it signs in until the transaction ends."""
    await run(tx, "SELECT FROM accounts WHERE id = $1 FOR NO KEY UPDATE", account_id)
    return await find_person(tx, account_id)


async def list_people(tx: Tx, *, words: str, before: int | None, limit: int) -> list[Person]:
    """Return the newest accounts whose address or name contains some words; sandboxes are nobody."""
    return await many(
        tx,
        Person,
        """
        SELECT * FROM people
        WHERE ($1 = '' OR strpos(lower(email), lower($1)) > 0 OR strpos(lower(name), lower($1)) > 0)
          AND ($2::bigint IS NULL OR id < $2) AND NOT is_sandbox(id)
        ORDER BY id DESC LIMIT $3
        """,
        words,
        before,
        limit,
    )


async def set_role(tx: Tx, account_id: AccountId, role: str) -> bool:
    """Any role -> `role`; False when there is no such account."""
    return bool(
        await run(tx, "UPDATE accounts SET role = $2, changed_at = clock_timestamp() WHERE id = $1", account_id, role)
    )


async def set_api_limit(tx: Tx, account_ids: Sequence[AccountId], per_minute: int | None) -> None:
    """Give accounts a request limit of their own."""
    await run(
        tx,
        "UPDATE accounts SET api_per_minute = $2, changed_at = clock_timestamp() WHERE id = ANY($1::bigint[])",
        account_ids,
        per_minute,
    )


async def set_password(tx: Tx, account_id: AccountId, password_hash: str) -> None:
    """Replace the password."""
    await run(
        tx,
        """
        UPDATE accounts
        SET password_hash = $2, password_changed_at = clock_timestamp(), changed_at = clock_timestamp() WHERE id = $1
        """,
        account_id,
        password_hash,
    )


async def set_rehashed(tx: Tx, account_id: AccountId, *, old: str, new: str) -> None:
    """Store the same password under newer parameters, unless it was changed meanwhile."""
    await run(tx, "UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2", account_id, old, new)


async def set_verified(tx: Tx, account_id: AccountId) -> bool:
    """unverified -> verified; False when it was before."""
    return bool(
        await run(
            tx,
            """
            UPDATE accounts SET verified_at = clock_timestamp(), changed_at = clock_timestamp()
            WHERE id = $1 AND verified_at IS NULL
            """,
            account_id,
        )
    )


async def set_profile(tx: Tx, person: Person) -> None:
    """Write what a person may change."""
    await run(
        tx,
        """
        UPDATE accounts
        SET name = $2, phone = $3, timezone = $4, language = $5, telegram_chat_id = $6, notify_by_email = $7,
            notify_by_telegram = $8
        WHERE id = $1
        """,
        person.id,
        person.name,
        person.phone,
        person.timezone,
        person.language,
        person.telegram_chat_id,
        person.notify_by_email,
        person.notify_by_telegram,
    )


async def list_sealed_phones(tx: Tx, *, after: int, limit: int) -> list[tuple[AccountId, bytes]]:
    """Return sealed phone numbers in the order of accounts, and lock their rows."""
    return [
        (AccountId(row[0]), row[1])
        for row in await rows(
            tx,
            """
            SELECT id, phone FROM accounts WHERE phone IS NOT NULL AND id > $1 ORDER BY id LIMIT $2
            FOR NO KEY UPDATE
            """,
            after,
            limit,
        )
    ]


async def set_phone(tx: Tx, account_id: AccountId, phone: bytes) -> None:
    """Write the same phone number sealed anew."""
    await run(tx, "UPDATE accounts SET phone = $2 WHERE id = $1", account_id, phone)


async def upsert_ips(
    tx: Tx, *, account_ids: Sequence[AccountId], ips: Sequence[str], networks: Sequence[str], is_login: bool
) -> None:
    """Remember where accounts were used from; no pair of account and address twice."""
    await run(
        tx,
        """
        INSERT INTO account_ips AS known (account_id, ip, network, last_login_at)
        SELECT account_id, ip::inet, network::inet, CASE WHEN $4 THEN clock_timestamp() END
        FROM unnest($1::bigint[], $2::text[], $3::text[]) AS used (account_id, ip, network)
        ORDER BY account_id, ip
        ON CONFLICT (account_id, ip) DO UPDATE
            SET last_seen_at = clock_timestamp(), last_login_at = COALESCE(excluded.last_login_at, known.last_login_at)
        """,
        account_ids,
        ips,
        networks,
        is_login,
    )


async def knows_network(tx: Tx, account_id: AccountId, network: str) -> bool:
    """Tell whether an account signed in from this network before."""
    return bool(
        await value(
            tx,
            """
            SELECT EXISTS (SELECT FROM account_ips
                           WHERE account_id = $1 AND network = $2::text::inet AND last_login_at IS NOT NULL)
            """,
            account_id,
            network,
        )
    )


async def list_ips(tx: Tx, account_id: AccountId, *, limit: int) -> list[UsedFrom]:
    """Return the addresses that an account was used from, the latest first."""
    return await many(
        tx,
        UsedFrom,
        """
        SELECT host(ip) AS ip, first_seen_at, last_seen_at FROM account_ips
        WHERE account_id = $1 ORDER BY last_seen_at DESC LIMIT $2
        """,
        account_id,
        limit,
    )


async def find_terms(tx: Tx) -> Terms | None:
    """Return the newest terms."""
    return await maybe(tx, Terms, "SELECT version, text, published_at FROM terms ORDER BY version DESC LIMIT 1")


async def insert_terms(tx: Tx, *, text: str, text_hash: bytes) -> int | None:
    """Publish terms under the next version; None when they are word for word the newest ones."""
    found: int | None = await value(
        tx,
        """
        INSERT INTO terms (version, text, text_hash)
        SELECT COALESCE(max(version), 0) + 1, $1, $2 FROM terms
        HAVING NOT EXISTS (SELECT FROM terms AS newest WHERE newest.text_hash = $2
                           AND newest.version = (SELECT max(version) FROM terms))
        RETURNING version
        """,
        text,
        text_hash,
    )
    return found


async def insert_acceptance(tx: Tx, account_id: AccountId, *, version: int, ip: str, user_agent: str) -> None:
    """Record that an account accepted terms; the first time counts."""
    await run(
        tx,
        """
        INSERT INTO terms_acceptances (account_id, version, ip, user_agent) VALUES ($1, $2, $3::text::inet, $4)
        ON CONFLICT DO NOTHING
        """,
        account_id,
        version,
        ip,
        user_agent,
    )


async def set_terms_version(tx: Tx, account_id: AccountId, version: int) -> None:
    """Note the newest terms that an account accepted."""
    await run(
        tx,
        """
        UPDATE accounts SET terms_version = $2, changed_at = clock_timestamp()
        WHERE id = $1 AND COALESCE(terms_version, 0) < $2
        """,
        account_id,
        version,
    )


async def list_verdicts(tx: Tx, domains: Sequence[str]) -> list[tuple[str, str]]:
    """Return the operator's word on some domains, as (domain, verdict)."""
    return [
        (row[0], row[1])
        for row in await rows(tx, "SELECT domain, verdict FROM email_domains WHERE domain = ANY($1::text[])", domains)
    ]


async def list_email_domains(tx: Tx, *, limit: int) -> list[tuple[str, str]]:
    """Return all words of the operator on mail domains."""
    return [
        (row[0], row[1])
        for row in await rows(tx, "SELECT domain, verdict FROM email_domains ORDER BY domain LIMIT $1", limit)
    ]


async def upsert_email_domain(tx: Tx, domain: str, verdict: str) -> None:
    """Allow or deny a mail domain."""
    await run(
        tx,
        """
        INSERT INTO email_domains (domain, verdict) VALUES ($1, $2)
        ON CONFLICT (domain) DO UPDATE SET verdict = excluded.verdict
        """,
        domain,
        verdict,
    )


async def delete_email_domain(tx: Tx, domain: str) -> bool:
    """Take back a word on a mail domain; False when there was none."""
    return bool(await run(tx, "DELETE FROM email_domains WHERE domain = $1", domain))


async def list_staff(tx: Tx, roles: Sequence[Role]) -> list[Recipient]:
    """Return active staff of these roles."""
    query = "SELECT * FROM accounts WHERE role = ANY($1::text[]) AND state = 'active' ORDER BY id"
    return await many(tx, Recipient, query, roles)


async def list_recipients(tx: Tx, account_ids: Sequence[AccountId]) -> list[Recipient]:
    """Return where mails to accounts go; to sandboxes goes none."""
    query = "SELECT * FROM accounts WHERE id = ANY($1::bigint[]) AND sandbox_of IS NULL"
    return await many(tx, Recipient, query, account_ids)
