"""The background process: one table of passes, and a watch over each provider."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog

from numberdesk.accounts import jobs as accounts_jobs
from numberdesk.accounts import service as accounts
from numberdesk.admin import jobs as admin_jobs
from numberdesk.audit import service as audit
from numberdesk.base import clock, passes
from numberdesk.base.db import Database
from numberdesk.base.errors import Unavailable
from numberdesk.base.limits import forget_old_counters
from numberdesk.base.migrate import ensure_partitions
from numberdesk.base.passes import Pass
from numberdesk.catalogue import jobs as catalogue_jobs
from numberdesk.catalogue import service as catalogue
from numberdesk.conduct import service as conduct
from numberdesk.main import Site
from numberdesk.monitoring import jobs as monitoring_jobs
from numberdesk.notices import ringing
from numberdesk.notifications import jobs as notifications_jobs
from numberdesk.notifications.service import Bell, Mailer
from numberdesk.orders import jobs as orders_jobs
from numberdesk.orders import service as orders
from numberdesk.orders.service import Desk
from numberdesk.payments import jobs as payments_jobs
from numberdesk.payments import service as payments
from numberdesk.providers import service as providers
from numberdesk.providers.model import Provider, ProviderId
from numberdesk.reports import service as reports
from numberdesk.support import jobs as support_jobs
from numberdesk.wallet import jobs as wallet_jobs
from numberdesk.webhooks import jobs as webhooks_jobs
from numberdesk.webhooks import service as webhooks

log = structlog.get_logger()

IDLE_EVERY = 30.0
"""Seconds between looks at a provider with no open order: a number that nobody knows of shows up there."""
LEASE_SECONDS = 10.0


def steps(site: Site, mailer: Mailer | None, bell: Bell) -> list[Pass]:
    """Return every pass with its interval in seconds and the size of a full hand."""
    db, desk, till = site.db, site.desk, site.till
    return [
        *_telling(site, mailer, bell),
        Pass("answer_requests", 0.5, partial(accounts_jobs.answer_requests, site.people), full=100),
        Pass("follow_prolongations", 3.0, partial(orders.follow_prolongations, desk), full=50, patience=300.0),
        Pass("keep_rentals", 2.0, partial(orders_jobs.keep_rentals, desk), full=200),
        Pass("end_due", 1.0, partial(orders_jobs.end_due, desk), full=200),
        Pass("settle_ending", 0.5, partial(orders_jobs.settle_ending, desk), full=100),
        Pass("doubt_stale", 3.0, partial(orders_jobs.doubt_stale, desk), full=200),
        Pass("cancel_orphans", 2.0, partial(orders_jobs.cancel_orphans, desk), full=50),
        Pass("deliver_parked", 0.5, partial(orders.deliver_parked, desk), full=200),
        Pass("tell_unowned", 30.0, partial(orders.tell_unowned, desk)),
        Pass("release_finished", 1.0, partial(orders_jobs.release_finished, desk), full=100),
        Pass("expire_recharges", 2.0, partial(payments_jobs.expire_due, till), full=200),
        Pass("free_amounts", 30.0, partial(payments_jobs.free_slots, till), full=500),
        Pass("webhooks", 0.5, partial(payments.work_on_webhooks, till), full=50),
        Pass("look_at_gateways", 1.0, partial(payments.look_due, till), full=50),
        Pass("follow_refunds", 5.0, partial(payments.follow_refunds, till), full=50),
        Pass("read_statements", 1.0, partial(payments.read_statements, till), full=1),
        Pass("match_payments", 5.0, partial(payments.match, till), full=500),
        Pass("suspend_unclaimed", 60.0, partial(payments.suspend_unclaimed, till), full=200),
        Pass("settle_waiting", 15.0, partial(payments.settle_waiting, till)),
        Pass("scan_addresses", 1.0, partial(payments.scan_due, till), full=20, patience=600.0),
        Pass("watch_chain", 60.0, partial(payments.watch_chain, till)),
        Pass("fetch_rates", 60.0, partial(payments.fetch_rates, till)),
        Pass("reconcile_daily", 600.0, partial(payments.reconcile_daily, till), patience=4 * 3600.0),
        Pass("read_rentals", 2.0, partial(catalogue.read_rental_lists, db, desk.lines), patience=900.0),
        Pass("watch_phantoms", 60.0, partial(catalogue.watch_phantoms, db)),
        Pass("sync_due", 2.0, partial(catalogue_jobs.sync_due, db, desk.lines), full=4, patience=900.0),
        Pass("count_deliveries", 20.0, partial(catalogue.count_deliveries, db), patience=600.0),
        Pass("count_reports", 30.0, partial(reports.count, db), patience=3600.0),
        Pass("raise_alarms", 5.0, partial(orders.raise_alarms, desk)),
        Pass("probe_providers", 0.5, partial(providers.probe_due, desk.lines), patience=120.0),
        Pass("watch_balances", 5.0, partial(providers.watch_balances, desk.lines)),
        Pass("check_money", 15.0, partial(providers.check_money, desk.lines)),
        Pass("watch_prices", 10.0, partial(providers.watch_prices, db)),
        Pass("seal_audit", 1.0, partial(audit.seal, db), full=500),
        Pass("close_silent_tickets", 60.0, partial(support_jobs.close_silent, site.help_desk), full=200),
        Pass("send_events", 0.3, partial(webhooks_jobs.deliver, site.courier), full=1),
        Pass("roll_up", 5.0, partial(wallet_jobs.roll_up, db), full=50_000),
        *monitoring_jobs.worker_steps(site.watch, site.vault, whole_every=site.settings.whole_ledger_every),
        Pass("partitions", 6 * 3600.0, partial(_make_partitions, db)),
        *_purges(site),
        *_forgetting(site),
    ]


def _purges(site: Site) -> list[Pass]:
    """Return the passes that take personal data out after its time; see docs/retention.md."""
    db, desk, settings = site.db, site.desk, site.settings
    return [
        Pass("purge_messages", 30.0, partial(orders.purge_messages, desk, keep=settings.message_keep), full=500),
        Pass("purge_inbound", 30.0, partial(orders.purge_inbound, desk, keep=settings.message_keep), full=500),
        Pass("forget_numbers", 600.0, partial(orders.forget_numbers, db, keep=settings.metadata_keep), full=500),
        Pass(
            "forget_addresses",
            600.0,
            partial(accounts_jobs.forget_addresses, db, keep=settings.metadata_keep),
            full=1000,
        ),
        Pass("forget_closed", 600.0, partial(accounts_jobs.forget_closed, db, keep=settings.metadata_keep), full=100),
        Pass("forget_counts", 600.0, partial(conduct.forget_counts, db), full=1000),
    ]


def _forgetting(site: Site) -> list[Pass]:
    """Return the passes that delete what is over, a hand at a time."""
    db, desk, till = site.db, site.desk, site.till
    return [
        Pass("forget_mails", 600.0, partial(notifications_jobs.forget_ended, db), full=1000),
        Pass("forget_visits", 600.0, partial(accounts_jobs.forget_old_visits, db), full=1000),
        Pass("forget_counters", 60.0, partial(forget_old_counters, db), full=1000),
        Pass("forget_orphans", 600.0, partial(orders_jobs.forget_orphans, desk), full=1000),
        Pass("forget_inbound", 600.0, partial(orders.forget_inbound, desk), full=1000),
        Pass("forget_events", 60.0, partial(orders.forget_events, db), full=1000),
        Pass("forget_undelivered", 60.0, partial(orders.forget_undelivered, db), full=1000),
        Pass("forget_rates", 600.0, partial(payments.forget_samples, till), full=1000),
        Pass("forget_webhooks", 600.0, partial(payments.forget_webhooks, till), full=1000),
        Pass("forget_offers", 3600.0, partial(catalogue.forget_gone, db), full=1000),
        Pass("forget_rentals", 3600.0, partial(catalogue.forget_gone_rentals, db), full=1000),
        Pass("forget_calls", 600.0, partial(providers.forget_calls, db), full=1000),
        Pass("forget_balances", 600.0, partial(providers.forget_lines, db), full=1000),
        Pass("purge_tickets", 600.0, partial(support_jobs.purge, site.help_desk), full=100),
        Pass("forget_deliveries", 60.0, partial(webhooks_jobs.forget, db), full=1000),
        Pass("forget_old_answers", 600.0, partial(accounts_jobs.forget_old_answers, db), full=1000),
    ]


def _telling(site: Site, mailer: Mailer | None, bell: Bell) -> list[Pass]:
    """Return the passes that tell people what happened."""
    db, vault, people = site.db, site.vault, site.people
    return [
        Pass("deliver", 0.5, partial(notifications_jobs.deliver, db, vault, mailer), full=50),
        Pass("deliver_by_telegram", 0.5, partial(notifications_jobs.deliver_by_telegram, db, vault, bell)),
        Pass("deliver_by_relay", 1.0, partial(notifications_jobs.deliver_by_relay, db, vault, bell), full=5,
             patience=300.0),
        Pass("link_chats", 1.0, partial(accounts.link_chats, people, bell)),
        Pass("tell_codes", 0.5, partial(orders.tell_codes, db, vault), full=100),
        Pass("tell_low_balances", 5.0, partial(accounts.tell_low_balances, people), full=200),
        Pass("forget_errors", 600.0, partial(notifications_jobs.forget_errors, db), full=1000),
        Pass("tell_staff", 5.0, partial(admin_jobs.tell_staff, db, vault), full=50),
        Pass("tell_maintenance", 1.0, partial(admin_jobs.tell_maintenance, db, vault), full=50),
        Pass("tell_withheld", 5.0, partial(admin_jobs.tell_withheld, db, vault), full=200),
        Pass("tell_trouble", 5.0, partial(admin_jobs.tell_trouble, db, vault)),
    ]  # fmt: skip


@asynccontextmanager
async def running(site: Site, mailer: Mailer | None = None) -> AsyncIterator[None]:
    """Run all passes and watches for as long as the block lasts; without a mailer, mails wait."""
    watches = _Watches(site.desk)
    await monitoring_jobs.begin_work(site.watch)
    try:
        async with ringing(site.db, site.vault, site.settings) as bell:
            try:
                async with passes.running([*steps(site, mailer, bell), Pass("watches", 1.0, watches.follow)]):
                    yield
            finally:
                await watches.stop()  # after the pass that starts again what ended
    finally:
        with _ending():
            await webhooks.stop(site.courier)


@contextmanager
def _ending() -> Iterator[None]:
    """Leases that cannot be given back end by themselves, so a stop without a database is a stop all the same."""
    try:
        yield
    except Unavailable:
        log.warning("leases_not_given_back")


async def _make_partitions(db: Database) -> int:
    async with db.transaction() as tx:
        return await ensure_partitions(tx)


@dataclass
class _Watches:
    """One task per provider; together with other workers, each provider has one watcher at a time."""

    desk: Desk
    owner: str = field(default_factory=partial(secrets.token_hex, 6))
    tasks: dict[ProviderId, asyncio.Task[None]] = field(default_factory=dict)

    async def follow(self) -> None:
        """Start watching providers that are new, and start again what ended."""
        for provider_id in list(self.desk.lines.by_id):
            task = self.tasks.get(provider_id)
            if task is None or task.done():
                self.tasks[provider_id] = asyncio.create_task(self._watch(provider_id))

    async def stop(self) -> None:
        """End all watches and give the leases back, so that another worker goes on at once."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        with _ending():
            for provider_id in self.tasks:
                await providers.lease_watch(self.desk.db, provider_id, owner=self.owner, seconds=0)

    async def _watch(self, provider_id: ProviderId) -> None:
        idle_at = 0.0
        while (line := self.desk.lines.by_id.get(provider_id)) is not None:
            provider = line.provider
            started = clock.seconds()
            try:
                is_idle_turn = started >= idle_at
                if await self._turn(provider, is_idle_turn=is_idle_turn) and is_idle_turn:
                    idle_at = started + IDLE_EVERY
            except Unavailable:
                log.warning("watch_waits_for_database", provider=provider.name)
            except Exception:
                log.exception("watch_failed", provider=provider.name)
            pause = provider.poll_ms / 1000 - (clock.seconds() - started)
            await asyncio.sleep(max(pause, 0.05))

    async def _turn(self, provider: Provider, *, is_idle_turn: bool) -> bool:
        seconds = LEASE_SECONDS + provider.deadline_ms / 1000
        if not await providers.lease_watch(self.desk.db, provider.id, owner=self.owner, seconds=seconds):
            return False
        await orders_jobs.watch(self.desk, provider, is_idle_turn=is_idle_turn)
        return True
