"""The verbs that keep the rows of providers: adding one, changing it, finding it, and whose turn it is to watch it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypedDict, Unpack, cast
from urllib.parse import urlsplit

from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.money import AMOUNT_MAX, Paise
from numberdesk.providers import sql
from numberdesk.providers.adapters import ADAPTERS, sandbox
from numberdesk.providers.model import Kind, Provider, ProviderId
from numberdesk.providers.service._lines import PROVIDERS_MAX
from numberdesk.providers.sql import Word

KEY_MAX: Final = 500
URL_MAX: Final = 500

_ADDED: Final = [kind for kind in ADAPTERS if kind != "sandbox"]
"""The kinds that an operator may add; the one sandbox was made by a migration."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_BOUNDS: Final = {
    "paise_per_unit": (1, 10_000_000),
    "parallel_max": (1, 10_000),
    "calls_per_second": (1, 1_000_000),
    "deadline_ms": (100, 60_000),
    "poll_ms": (100, 60_000),
    "cancel_after_ms": (0, 86_400_000),
    "lifetime_ms": (1_000, 2_000_000_000),
    "extend_paise_per_minute": (0, 10_000_000),
    "weight_percent": (1, 1000),
    "open_max": (1, 10_000_000),
    "spend_max_paise": (1, AMOUNT_MAX),
    "balance_alert_paise": (0, AMOUNT_MAX),
    "sync_every_ms": (10_000, 86_400_000),
    "agent_pay_paise": (1, 1_000_000),
}


class Options(TypedDict, total=False):
    """What an operator may change of a provider; what is absent stays.

    None: no extending, no cap, no alert, and the usual pay of an agent.
    """

    is_on: bool
    paise_per_unit: int
    parallel_max: int
    calls_per_second: int
    deadline_ms: int
    poll_ms: int
    cancel_after_ms: int
    lifetime_ms: int
    extend_paise_per_minute: int | None
    dialect: str
    weight_percent: int
    open_max: int | None
    spend_max_paise: int | None
    balance_alert_paise: int | None
    sync_every_ms: int
    agent_pay_paise: int | None


class Changes(Options, total=False):
    """Options, and the address: a provider that moved."""

    url: str


async def add(
    db: Database, vault: Vault, *, name: str, kind: str, url: str, api_key: str, **options: Unpack[Options]
) -> Provider:
    """Write down a new provider; its key is stored sealed.

    Raises:
        InvalidFields: a field is not usable, or the name is taken.
    """
    problems = _option_problems(options)
    if not _NAME.fullmatch(name):
        problems["name"] = "must be 1 to 40 of a-z, 0-9 and -, and not begin with -"
    problems |= _kind_problems(kind if kind in _ADDED else "", options.get("dialect"))
    problems |= _url_problems(url) | _key_problems(api_key)
    if problems:
        raise InvalidFields(problems)
    dialects = ADAPTERS[cast("Kind", kind)].DIALECTS
    dialect = options.get("dialect") or next(iter(dialects))
    can = dialects[dialect]
    known: Options = {"cancel_after_ms": can.cancel_after_ms, "lifetime_ms": can.lifetime_ms}
    sealed = vault.seal(api_key)
    async with db.transaction() as tx:
        added = await sql.insert(tx, name=name, kind=kind, dialect=dialect, url=url, api_key_sealed=sealed)
        if added is None:
            raise InvalidFields({"name": "is taken by another provider"})
        await sql.insert_health(tx, provider_id=added.id)
        return await sql.set_options(tx, provider=replace(added, **(known | options)))


async def set_options(db: Database, provider_id: ProviderId, **changes: Unpack[Changes]) -> Provider:
    """Change some options of a provider; every process follows at its next `refresh`.

    Raises:
        InvalidFields, NotFound: as in `change_options`.
    """
    async with db.transaction() as tx:
        return (await change_options(tx, provider_id, **changes))[1]


async def change_options(tx: Tx, provider_id: ProviderId, **changes: Unpack[Changes]) -> tuple[Provider, Provider]:
    """Change some options of a provider; returns it as it was and as it is.

    Raises:
        InvalidFields: an option is out of its bounds.
        NotFound: there is no such provider.
    """
    problems = _option_problems(changes)
    if "url" in changes:
        problems |= _url_problems(changes["url"])
    if problems:
        raise InvalidFields(problems)
    current = await sql.lock(tx, provider_id=provider_id)
    if current is None:
        raise NotFound("provider")
    if problems := _kind_problems(current.kind, changes.get("dialect")):
        raise InvalidFields(problems)
    return current, await sql.set_options(tx, provider=replace(current, **changes))


async def set_api_key(tx: Tx, vault: Vault, provider_id: ProviderId, *, api_key: str) -> None:
    """Replace the key of a provider; every process follows at its next `refresh`.

    Raises:
        InvalidFields: the key is not usable.
        NotFound: there is no such provider, or it is the sandbox, which has none.
    """
    refuse_key(api_key)
    if not await sql.set_api_key(tx, provider_id=provider_id, api_key_sealed=vault.seal(api_key)):
        raise NotFound("provider")


def refuse_key(api_key: str) -> None:
    """Refuse what cannot be a key.

    Raises:
        InvalidFields: the key is not usable.
    """
    if problems := _key_problems(api_key):
        raise InvalidFields(problems)


async def reseal(db: Database, vault: Vault) -> int:
    """Seal every key with the newest encryption key; returns how many were changed."""
    changed = 0
    async with db.transaction() as tx:
        for provider_id, sealed in await sql.list_sealed_keys(tx):
            if not vault.is_newest(sealed):
                await sql.set_api_key(tx, provider_id=provider_id, api_key_sealed=vault.renewed(sealed))
                changed += 1
    return changed


async def set_words(tx: Tx, words: Sequence[Word], *, provider_id: ProviderId) -> None:
    """Write what words of a provider mean; every process follows at its next `refresh`.

    A word that a person gave a meaning keeps it. Of two words for one code the newer one counts.
    """
    if words:
        await sql.upsert_words(tx, words)
        await sql.set_changed(tx, provider_id=provider_id)


async def list_words(tx: Tx, *, provider_id: ProviderId) -> list[Word]:
    """Return what is known of a provider's words, by kind and word."""
    return await sql.list_words(tx, [provider_id])


async def forget_words(tx: Tx, words: Sequence[Word], *, provider_id: ProviderId) -> None:
    """Take meanings away that no longer hold; one that a person gave stays unless it is among `words` as such."""
    if words:
        await sql.delete_words(tx, words)
        await sql.set_changed(tx, provider_id=provider_id)


async def set_synced(tx: Tx, *, provider_id: ProviderId) -> None:
    """Write down that the provider's offers were taken over in this transaction."""
    await sql.set_synced(tx, provider_id=provider_id)


async def list_all(db: Database) -> list[Provider]:
    """Return the providers in the order in which they were added, without the sandbox, which is nobody's business."""
    async with db.statement() as tx:
        return [row.provider() for row in await sql.list_all(tx, limit=PROVIDERS_MAX) if row.kind != "sandbox"]


def sandbox_costs() -> Mapping[str, Paise]:
    """Return what the sandbox sells and asks, by the code of the service: the same in every country."""
    return {service: script.cost_paise for service, script in sandbox.SCRIPTS.items()}


def sandbox_rental_cost(cost_paise: Paise) -> Paise:
    """Return what the sandbox asks for a rental of something whose code costs so much."""
    return sandbox.rental_cost(cost_paise)


async def find_by_name(db: Database, name: str) -> Provider | None:
    """Return the provider of that name, or None."""
    async with db.statement() as tx:
        return await sql.find_by_name(tx, name=name)


async def lease_watch(db: Database, provider_id: ProviderId, *, owner: str, seconds: float) -> bool:
    """Take or renew the watch over a provider, so that one worker at a time asks it for its active list.

    Args:
        owner: names the worker, unlike every other.
        seconds: how long the watch holds by the database's clock; 0 gives it back.

    Returns:
        False while another owner has it.
    """
    async with db.statement() as tx:
        return await sql.lease_watch(tx, provider_id=provider_id, owner=owner, seconds=seconds)


def _kind_problems(kind: str, dialect: str | None) -> dict[str, str]:
    adapter = ADAPTERS.get(cast("Kind", kind))
    if adapter is None:
        return {"kind": f"must be one of {', '.join(_ADDED)}"}
    if dialect is not None and dialect not in adapter.DIALECTS:
        return {"dialect": f"must be one of {', '.join(adapter.DIALECTS)}"}
    return {}


def _option_problems(options: Mapping[str, object]) -> dict[str, str]:
    return {
        name: f"must be between {least} and {most}"
        for name, (least, most) in _BOUNDS.items()
        if isinstance(number := options.get(name), int) and not least <= number <= most
    }


def _url_problems(url: str) -> dict[str, str]:
    """Refuse what is no plain address: a key in it would be shown to everybody who sees the address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return {"url": "is not an address"}
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return {"url": "must begin with http:// or https:// and name a host"}
    if not _PRINTABLE.fullmatch(url) or len(url) > URL_MAX:
        return {"url": f"must be at most {URL_MAX} plain characters without blanks"}
    if parts.username is not None or parts.password is not None:
        return {"url": "must not hold a user name or password"}
    if "?" in url or "#" in url:
        return {"url": "must not hold a query; the key has its own field"}
    return {}


def _key_problems(api_key: str) -> dict[str, str]:
    if _PRINTABLE.fullmatch(api_key) and len(api_key) <= KEY_MAX:
        return {}
    return {"api_key": f"must be 1 to {KEY_MAX} plain characters without blanks"}
