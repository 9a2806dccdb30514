"""What staff call about providers: how they do, what may be changed of them, and our money there."""

from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal, cast

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from numberdesk.accounts import service as accounts
from numberdesk.accounts.service import People
from numberdesk.admin.routes._provider_views import (
    AlertView,
    CallsView,
    HealthView,
    OptionsView,
    ProviderDetail,
    ProviderView,
    SyncView,
    TranscriptView,
    alert_view,
    calls_view,
    changes_of,
    check_view,
    drift_view,
    health_view,
    options_view,
    provider_view,
    sync_view,
    transcript_view,
)
from numberdesk.audit import service as audit
from numberdesk.base.calls import Asked, Call, number_in_path
from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.money import Paise, format_rupees
from numberdesk.base.web import ACCESS, Items, Ok, amount_in, encode
from numberdesk.catalogue import service as catalogue
from numberdesk.providers import service
from numberdesk.providers.model import Provider, ProviderId
from numberdesk.providers.service import Changes

Note = Annotated[str, Meta(min_length=3, max_length=200)]
Amount = str | float | UnsetType | None
MONEY = {"spend_max": "spend_max_paise", "balance_alert": "balance_alert_paise"}
"""Options that are rupees on the wire."""
SMALLINT_MAX = 32767


class ChangeOptions(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What is to be changed; what is left out stays. Null: no cap, no alert, no extending."""

    is_on: bool | UnsetType = UNSET
    dialect: str | UnsetType = UNSET
    paise_per_unit: int | UnsetType = UNSET
    parallel_max: int | UnsetType = UNSET
    calls_per_second: int | UnsetType = UNSET
    deadline_ms: int | UnsetType = UNSET
    poll_ms: int | UnsetType = UNSET
    cancel_after_ms: int | UnsetType = UNSET
    lifetime_ms: int | UnsetType = UNSET
    sync_every_ms: int | UnsetType = UNSET
    extend_paise_per_minute: int | UnsetType | None = UNSET
    weight_percent: int | UnsetType = UNSET
    open_max: int | UnsetType | None = UNSET
    spend_max: Amount = UNSET
    balance_alert: Amount = UNSET


class SetBreaker(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Open: nothing is bought. Closed: it is bought whatever happens. Auto: by how the provider does."""

    state: Literal["open", "closed", "auto"]
    reason: Note


class TopUp(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Money that was paid in at the provider, and how."""

    amount: str | float
    note: Note


class SettleGap(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Why the gap of the newest comparison is accepted."""

    note: Note


class SyncNow(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Forced: the list is believed, however much shorter it has become."""

    force: bool = False


class SyncAsked(Struct, rename="camel", frozen=True):
    """That a provider will be read; how far it is stands in the list of its syncs."""

    provider: str
    force: bool


class MovedView(Struct, rename="camel", frozen=True):
    """By how much the books of a provider were moved."""

    amount: str


def calls(people: Any) -> list[Call[Any]]:
    """Return the calls of staff about providers; without people they can only be described."""

    def call(path: str, body: type[Struct], run: Any, answer: Any, summary: str, description: str) -> Call[Any]:
        return Call(
            path=f"/admin/providers/{{id}}/{path}", body=body, access="admin:ops", run=partial(run, people),
            answer=answer, summary=summary, description=description, is_repeatable=body is TopUp,
        )  # fmt: skip

    return [
        call("options", ChangeOptions, _change, OptionsView, "Change a provider",
             "Change options of a provider; every process follows within a second or two."),
        call("breaker", SetBreaker, _set_breaker, HealthView, "Hold a breaker",
             "Stop buying from a provider, keep buying whatever happens, or leave it to the rules again."),
        call("top-up", TopUp, _top_up, MovedView, "Tell of a top-up",
             "Say that money was paid in at a provider, so that its balance is explained."),
        call("settle-gap", SettleGap, _settle, MovedView, "Accept a gap",
             "Accept what the newest comparison of our money could not explain; the books move by it."),
        call("sync", SyncNow, _sync, SyncAsked, "Sync a provider",
             "Have the worker read what the provider lists now; the list of its syncs tells how far it is."),
    ]  # fmt: skip


async def _change(people: People, asked: Asked, data: ChangeOptions) -> bytes:
    changes = _changes(data)
    async with people.db.transaction() as tx:
        try:
            before, after = await service.change_options(tx, _provider_id(asked.id), **changes)
        except InvalidFields as problem:
            names = {paise: name for name, paise in MONEY.items()}
            raise InvalidFields(
                {_camel(names.get(name, name)): said for name, said in problem.fields.items()}
            ) from None
        differing = changes_of(before, after)
        if differing:
            event = accounts.done_by(asked.caller, asked.visit, "provider_changed", provider=after.name, **differing)
            await audit.record(tx, event)
    return encode(options_view(after))


def _changes(data: ChangeOptions) -> Changes:
    given = {item.name: getattr(data, item.name) for item in structs.fields(data)}
    wanted = {name: value for name, value in given.items() if value is not UNSET}
    for name, option in MONEY.items():
        if name in wanted:
            amount = wanted.pop(name)
            wanted[option] = None if amount is None else amount_in(amount, field=_camel(name))
    return cast("Changes", wanted)


async def _set_breaker(people: People, asked: Asked, data: SetBreaker) -> bytes:
    forced = None if data.state == "auto" else data.state
    async with people.db.transaction() as tx:
        before, after = await service.change_forced(tx, _provider_id(asked.id), forced, data.reason)
        event = accounts.done_by(
            asked.caller, asked.visit, "provider_breaker", provider=after.provider, reason=data.reason,
            before=before.forced or "auto", after=after.forced or "auto",
        )  # fmt: skip
        await audit.record(tx, event)
    return encode(health_view(after))


async def _top_up(people: People, asked: Asked, data: TopUp) -> bytes:
    paise = amount_in(data.amount)
    provider = await _provider(people.db, asked.id)
    async with people.db.transaction() as tx:
        await service.record_top_up(tx, provider.id, paise=paise, note=data.note)
        event = accounts.done_by(
            asked.caller, asked.visit, "provider_top_up", provider=provider.name, paise=paise, note=data.note
        )
        await audit.record(tx, event)
    return encode(MovedView(format_rupees(paise)))


async def _settle(people: People, asked: Asked, data: SettleGap) -> bytes:
    provider = await _provider(people.db, asked.id)
    async with people.db.transaction() as tx:
        paise = await service.settle_gap(tx, provider.id, note=data.note)
        event = accounts.done_by(
            asked.caller, asked.visit, "provider_gap_settled", provider=provider.name, paise=paise, note=data.note
        )
        await audit.record(tx, event)
    return encode(MovedView(format_rupees(Paise(paise))))


async def _sync(people: People, asked: Asked, data: SyncNow) -> bytes:
    provider = await _provider(people.db, asked.id)
    async with people.db.transaction() as tx:
        await catalogue.ask_for_sync(tx, provider_id=provider.id, force=data.force)
        event = accounts.done_by(asked.caller, asked.visit, "provider_sync", provider=provider.name, force=data.force)
        await audit.record(tx, event)
    return encode(SyncAsked(provider.name, data.force))


def _provider_id(number: int) -> ProviderId:
    if number > SMALLINT_MAX:
        raise NotFound(what="provider")
    return ProviderId(number)


async def _provider(db: Database, number: int) -> Provider:
    found = next((item for item in await service.list_all(db) if item.id == number), None)
    if found is None:
        raise NotFound(what="provider")
    return found


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)


@get("/admin/providers", summary="List providers", opt={ACCESS: "admin:support"})
async def list_providers(db: NamedDependency[Database]) -> Ok[Items[ProviderView]]:
    """List all providers with our money there and their open alerts."""
    money, today = await service.list_money(db), await service.list_today(db)
    health, alerts = await _healths(db), await service.list_alerts(db)
    found = [
        provider_view(item, money.get(item.id), today.get(item.id), health.get(item.id), alerts)
        for item in await service.list_all(db)
    ]
    return Ok(data=Items(found, None))


@get("/admin/providers/{id:str}", summary="Read a provider", opt={ACCESS: "admin:support"})
async def read_provider(
    id: FromPath[str],  # noqa: A002 - the name in the path
    db: NamedDependency[Database],
) -> Ok[ProviderDetail]:
    """Read a provider, the newest comparison of its balance with our books, and what it charged in the last day."""
    provider = await _provider(db, number_in_path(id, what="provider"))
    money, today = await service.list_money(db), await service.list_today(db)
    health, alerts = await _healths(db), await service.list_alerts(db, provider_id=provider.id)
    check = await service.last_check(db, provider.id)
    return Ok(
        data=ProviderDetail(
            provider_view(provider, money.get(provider.id), today.get(provider.id), health.get(provider.id), alerts),
            None if check is None else check_view(check),
            drift_view(await service.read_drift(db, provider.id)),
        )
    )


@get("/admin/providers/{id:str}/transcripts", summary="Read what was said", opt={ACCESS: "admin:support"})
async def list_transcripts(
    id: FromPath[str],  # noqa: A002 - the name in the path
    db: NamedDependency[Database],
    subject: Annotated[str | None, QueryParameter(max_length=80)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
) -> Ok[Items[TranscriptView]]:
    """Read what was said with a provider, newest first; `subject` is a purchase such as `55-1`, or an activation."""
    provider = await _provider(db, number_in_path(id, what="provider"))
    found = await service.list_transcripts(db, provider.id, subject, limit)
    return Ok(data=Items([transcript_view(item) for item in found], None))


@get("/admin/providers/{id:str}/calls", summary="Count calls", opt={ACCESS: "admin:support"})
async def list_calls(
    id: FromPath[str],  # noqa: A002 - the name in the path
    db: NamedDependency[Database],
    hours: Annotated[int, QueryParameter(ge=1, le=24 * 90)] = 24,
) -> Ok[Items[CallsView]]:
    """Count what came of calls to a provider by hour, newest first."""
    provider = await _provider(db, number_in_path(id, what="provider"))
    found = await service.list_calls(db, provider_id=provider.id, back=timedelta(hours=hours))
    return Ok(data=Items([calls_view(item) for item in found], None))


@get("/admin/providers/{id:str}/syncs", summary="List syncs, newest first", opt={ACCESS: "admin:support"})
async def list_syncs(
    id: FromPath[str],  # noqa: A002 - the name in the path
    db: NamedDependency[Database],
) -> Ok[Items[SyncView]]:
    """List the last readings of a provider's offers, with how far a running one is."""
    provider = await _provider(db, number_in_path(id, what="provider"))
    return Ok(data=Items([sync_view(item) for item in await catalogue.list_syncs(db, provider.id)], None))


async def _healths(db: Database) -> dict[ProviderId, service.Health]:
    return {item.provider_id: item for item in await service.list_health(db)}


@get("/admin/alerts", summary="List alerts, newest first", opt={ACCESS: "admin:support"})
async def list_alerts(
    db: NamedDependency[Database],
    open_only: Annotated[bool, QueryParameter(name="openOnly")] = True,
) -> Ok[Items[AlertView]]:
    """List troubles with providers: those that are open, or also what is over."""
    return Ok(data=Items([alert_view(item) for item in await service.list_alerts(db, open_only=open_only)], None))


HANDLERS = [list_providers, read_provider, list_transcripts, list_calls, list_syncs, list_alerts]
