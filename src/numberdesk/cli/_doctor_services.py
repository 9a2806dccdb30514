"""What `doctor` asks of others: the mail server, Telegram, every provider, the node of TRON."""

import json

from numberdesk import till
from numberdesk.base import http_client
from numberdesk.base.db import Database
from numberdesk.base.http_client import NoAnswer
from numberdesk.base.limits import Limiter
from numberdesk.base.money import format_rupees
from numberdesk.base.passes import each
from numberdesk.cli._findings import Finding, ok, warning, wrong
from numberdesk.cli._serve import mail_settings
from numberdesk.main import Secrets, limiter_of
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import BadSender, Failed
from numberdesk.payments import service as payments
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId, Unknown
from numberdesk.settings import BadSettings, Settings

DEADLINE = 15.0
ANSWER_MAX = 64 * 1024
AT_ONCE = 8
LAG_MAX = 300
"""Seconds; a node's newest final block is a minute old when all is well."""


async def mail(settings: Settings) -> Finding:
    """Log in at the mail server, without sending a mail."""
    if settings.smtp_host is None:
        if settings.app_env == "demo":
            return ok("mail", "shown on the terminal, as this is a demo")
        return warning("mail", "SMTP_HOST is not set: mails wait, and nobody can register", "Set SMTP_HOST.")
    where = f"{settings.smtp_host}:{settings.smtp_port} ({settings.smtp_security})"
    try:
        outcome = await notifications.probe_mail(mail_settings(settings))
    except BadSender as problem:
        return wrong("mail", str(problem).rstrip("."), "Set MAIL_FROM.")
    if isinstance(outcome, Failed):
        return wrong("mail", f"{where}: {outcome.reason}", "Check the settings that begin with SMTP_.")
    who = f" as {settings.smtp_username}" if settings.smtp_username else ""
    if settings.smtp_security == "none" and settings.smtp_host not in ("127.0.0.1", "::1", "localhost"):
        return warning("mail", f"{where} takes mails{who}, unencrypted", "Set SMTP_SECURITY=starttls.")
    return ok("mail", f"{where} lets us in{who}; `numberdesk mail test ADDRESS` sends one")


async def telegram(settings: Settings) -> Finding | None:
    """Ask Telegram who our bot is. The token stands in the address, so no address is shown."""
    if settings.telegram_bot_token is None:
        return None
    url = f"{settings.telegram_url.rstrip('/')}/bot{settings.telegram_bot_token.get_secret_value()}/getMe"
    async with http_client.session() as session:
        answer = await http_client.get(session, url, params={}, deadline=DEADLINE, body_max=ANSWER_MAX)
    if isinstance(answer, NoAnswer):
        return wrong("telegram", f"it is not reached: {answer.reason}", "Is TELEGRAM_URL right, and the firewall open?")
    try:
        told = json.loads(answer.body)
        name = str(told["result"]["username"]) if told["ok"] is True else None
    except (KeyError, TypeError, ValueError):
        name = None
    if answer.status == 200 and name:
        return ok("telegram", f"the bot is @{name}")
    if answer.status in (401, 404):
        return wrong("telegram", "the token is not known there", "Get it from @BotFather, and set TELEGRAM_BOT_TOKEN.")
    return wrong("telegram", f"it answers with status {answer.status}", "Try again later; is TELEGRAM_URL right?")


async def redis(settings: Settings) -> Finding | None:
    """Ask Redis whether it is there; an address that cannot be used was told with the settings."""
    if settings.redis_url is None:
        return None
    try:
        limiter = limiter_of(settings, "api", settings.rate_limit_api)
    except BadSettings:
        return None
    try:
        if await limiter.is_shared():
            return ok("redis", "it answers, so that all web processes count together")
    finally:
        await limiter.close()
    fix = "Does it run, and is REDIS_URL its address, with its password?"
    return wrong("redis", "it does not answer, so that each web process counts alone", fix)


async def each_provider(db: Database, secrets: Secrets) -> list[Finding]:
    """Ask every provider for our balance."""
    found: dict[str, Finding] = {}
    lines = await providers.open_lines(db, secrets.vault)
    try:
        known = sorted((line.provider for line in lines.by_id.values()), key=lambda item: item.name)

        async def ask(name: str, provider_id: ProviderId) -> None:
            balance = await providers.balance(lines, provider_id)
            if isinstance(balance, Unknown):
                fix = f"`numberdesk provider test {name}`; are address, key and the provider's own service right?"
                found[name] = wrong("provider", f"{name} does not tell its balance: {balance.detail}", fix)
            elif balance <= 0:
                found[name] = warning("provider", f"{name} has {format_rupees(balance)} rupees of ours", "Top it up.")
            else:
                found[name] = ok("provider", f"{name} has {format_rupees(balance)} rupees of ours")

        asked = [item for item in known if item.kind != "sandbox" and item.is_on]
        await each(asked, lambda item: ask(item.name, item.id), at_once=AT_ONCE)
        for item in known:
            if not item.is_on:
                found[item.name] = ok("provider", f"{item.name} is off")
    finally:
        await providers.close(lines)
    if not found:
        return [warning("provider", "there is none, so nothing can be bought", "`numberdesk provider add`.")]
    return [found[name] for name in sorted(found)]


async def money_in(db: Database, settings: Settings, secrets: Secrets) -> list[Finding]:
    """Open what takes payments, as a start would, and ask the node of TRON how old its newest block is."""
    async with http_client.session() as session:
        if till.problems(settings, session):
            return []  # told with the settings
        try:
            limiter = Limiter(db, numbers=settings.limits)
            desk = await till.open_till(db, settings, vault=secrets.vault, limiter=limiter, session=session)
        except BadSettings as problem:
            return [wrong("payments", str(problem).rstrip("."), "See docs/payments.md.")]
        found = []
        for name, gateway in sorted(desk.gateways.items()):
            if gateway.is_live or settings.app_env != "production":
                found.append(ok("payments", f"{name} is set up"))
            else:
                found.append(warning("payments", f"{name} has keys for tests only", "Take its live keys."))
        if settings.upi_rail == "upi_manual" and not any(vpa.is_open for vpa in await payments.list_vpas(db)):
            fix = "`numberdesk payment vpa add`, or set a gateway up."
            found.append(warning("payments", "no UPI address is open: nobody can pay by UPI", fix))
        if desk.chain is not None:
            lag = await payments.chain_lag(desk.chain)
            if isinstance(lag, str):
                found.append(wrong("tron", f"the node does not answer: {lag}", "Check TRON_URL and TRON_KEYS."))
            elif lag > LAG_MAX:
                found.append(wrong("tron", f"the node's newest final block is {lag:,} s old", "Take another node."))
            else:
                found.append(ok("tron", f"the node's newest final block is {lag} s old"))
    return found
