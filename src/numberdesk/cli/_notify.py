"""`notify` and `mail test`: whether messages go out, those that did not, and sending them again."""

from pathlib import Path
from typing import get_args

import typer
from rich.markup import escape
from rich.table import Table

from numberdesk.audit import service as audit
from numberdesk.audit.model import Detail, Event
from numberdesk.base import clock, ids
from numberdesk.cli._place import HOME, CommandFailed, Place, console, opened, opened_database, run
from numberdesk.cli._serve import mailer_of
from numberdesk.notices import opened_bell
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import (
    BadToken,
    Channel,
    Doubtful,
    Failed,
    Gone,
    Later,
    Mail,
    Message,
    Moved,
    OutboxState,
    Sent,
    TelegramOutcome,
)

CHANNELS = ", ".join(get_args(Channel))
STATES = ", ".join(get_args(OutboxState))
CHANNEL = typer.Option(None, "--channel", help=f"One of: {CHANNELS}.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Messages to customers and staff.", no_args_is_help=True)
    group.command("test")(test)
    group.command("list")(list_notices)
    group.command("retry")(retry)
    group.command("drop")(drop)
    app.add_typer(group, name="notify")
    mail = typer.Typer(help="Mails.", no_args_is_help=True)
    mail.command("test")(test_mail)
    app.add_typer(mail, name="mail")


def test(
    channel: str = typer.Option("email", "--channel", help=f"One of: {CHANNELS}."),
    to: str = typer.Option(None, "--to", help="An address; for telegram a chat's id, the staff's if left out."),
    home: Path = HOME,
) -> None:
    """Send a message now, to see whether it is taken; a staff chat that was switched off is switched on again."""
    if channel not in get_args(Channel):
        raise CommandFailed(f"--channel must be one of: {CHANNELS}.")
    if channel == "email" and to is None:
        raise CommandFailed("--to must be set to an address.")
    run(_test(home, channel=channel, to=to))


def test_mail(to: str = typer.Argument(help="Who gets it."), home: Path = HOME) -> None:
    """Send a mail now, to see whether the mail server takes it; the same as `notify test --to`."""
    run(_test(home, channel="email", to=to))


async def _test(home: Path | None, *, channel: str, to: str | None) -> None:
    async with opened(home) as place:
        match channel:
            case "email":
                await _test_mail(place, to=to or "")
            case "telegram":
                await _test_telegram(place, to=to)
            case _:
                await _test_relay(place)
    if channel == "telegram" and to is None:
        await _switch_on(home)


async def _test_mail(place: Place, *, to: str) -> None:
    mailer = mailer_of(place.settings)
    if mailer is None:
        raise CommandFailed("SMTP_HOST is not set.")
    data = {"name": "", "at": clock.now().isoformat(timespec="seconds")}
    subject, text, html = notifications.render("mail_test", data)
    outcome = await mailer.send(Mail(to, subject, text, html, f"mail_test:{ids.base62(16)}"))
    if isinstance(outcome, Failed):
        raise CommandFailed(f"The mail was not taken: {outcome.reason}.")
    console.print("[green]The mail server took it.[/]")


async def _test_telegram(place: Place, *, to: str | None) -> None:
    settings = place.settings
    if settings.telegram_bot_token is None:
        raise CommandFailed("TELEGRAM_BOT_TOKEN is not set.")
    if to is not None and not to.removeprefix("-").isdecimal():
        raise CommandFailed("--to must be a chat's id, such as -1001234567890.")
    chat_id = settings.telegram_chat_id if to is None else int(to)
    if chat_id is None:
        raise CommandFailed("TELEGRAM_CHAT_ID is not set, and --to was left out.")
    html, plain = notifications.event_words("This is a test", {"When": clock.now().isoformat(timespec="seconds")})
    async with opened_bell(settings) as bell:
        assert bell.telegram is not None
        bot = await bell.telegram.who()
        thread_id = settings.telegram_topic_id if to is None else None
        outcome = await bell.telegram.send(Message(chat_id, html, plain, thread_id))
        if not isinstance(outcome, Sent):
            raise CommandFailed(_why_not(outcome))
    name = f" by @{bot.username}" if hasattr(bot, "username") else ""
    console.print(f"[green]Telegram took it[/]{escape(name)}.")


async def _switch_on(home: Path | None) -> None:
    async with opened_database(home) as (_, db):
        if await notifications.switch_on(db, "telegram"):
            console.print("The staff's chat was off, and is on again.")


def _why_not(outcome: TelegramOutcome) -> str:
    match outcome:
        case BadToken():
            return "Telegram does not know TELEGRAM_BOT_TOKEN: take it from @BotFather again."
        case Gone(reason):
            return f"The chat cannot be written to: {reason}. Add the bot to it, and check the id."
        case Moved(chat_id):
            return f"The group became a supergroup: set TELEGRAM_CHAT_ID to {chat_id}."
        case Later(seconds):
            return f"Telegram wants no message there for {seconds} seconds: try again then."
        case Failed(_, reason) | Doubtful(reason):
            return f"The message was not taken: {reason}."
        case _:
            return "The message was not taken."


async def _test_relay(place: Place) -> None:
    async with opened_bell(place.settings) as bell:
        if bell.relay is None:
            raise CommandFailed("APPRISE_URLS is not set.")
        outcome = await bell.relay.send("This is a test", clock.now().isoformat(timespec="seconds"))
    if isinstance(outcome, Failed):
        raise CommandFailed(f"The message was not taken: {outcome.reason}.")
    console.print("[green]Every relay took it.[/]")


def list_notices(
    state: str = typer.Option("failed", "--state", help=f"One of: {STATES}."),
    channel: str = CHANNEL,
    limit: int = typer.Option(50, "--limit", min=1, max=200),
    home: Path = HOME,
) -> None:
    """Show notices, newest first; never what they say."""
    if state not in get_args(OutboxState):
        raise CommandFailed(f"--state must be one of: {STATES}.")
    if channel is not None and channel not in get_args(Channel):
        raise CommandFailed(f"--channel must be one of: {CHANNELS}.")
    run(_list_notices(home, state=state, channel=channel, limit=limit))


async def _list_notices(home: Path | None, *, state: str, channel: str | None, limit: int) -> None:
    async with opened_database(home) as (_, db):
        found = await notifications.list_notices(db, state=state, channel=channel, limit=limit)  # type: ignore[arg-type]
    if not found:
        console.print(f"There are no notices in the state {state}.")
        return
    table = Table("id", "channel", "what", "account", "tries", "since", "problem")
    for item in found:
        table.add_row(
            str(item.id), item.channel, item.template, str(item.account_id or "staff"), str(item.attempts),
            f"{item.ended_at or item.created_at:%Y-%m-%d %H:%M}",
            escape(item.last_problem or "") + ("" if item.can_retry or state != "failed" else " (forgotten)"),
        )  # fmt: skip
    console.print(table)


def retry(
    notice_id: int = typer.Argument(None, help="From `notify list`."),
    every: bool = typer.Option(False, "--all", help="All that failed."),
    channel: str = CHANNEL,
    home: Path = HOME,
) -> None:
    """Send notices that failed again, with all their attempts."""
    if (notice_id is None) != every:
        raise CommandFailed("Name one notice, or say --all.")
    if channel is not None and channel not in get_args(Channel):
        raise CommandFailed(f"--channel must be one of: {CHANNELS}.")
    run(_retry(home, notice_id=notice_id, channel=channel))


async def _retry(home: Path | None, *, notice_id: int | None, channel: str | None) -> None:
    async with opened_database(home) as (_, db):
        if notice_id is None:
            async with db.transaction() as tx:
                count = await notifications.retry_all(tx, channel=channel)  # type: ignore[arg-type]
                if count:
                    details: dict[str, Detail] = {"count": count, "channel": channel}
                    await audit.record(tx, Event("notices_retried", None, "shell", details=details))
            if count:
                console.print(f"{count} notice{'s' * (count != 1)} will be sent again.")
            else:
                console.print("No notice failed that can be sent.")
            return
        async with db.transaction() as tx:
            before = await notifications.retry(tx, notice_id)
            await audit.record(tx, _event("notice_retried", notice_id, before.account_id))
    console.print(f"Notice {notice_id} will be sent again.")


def drop(notice_id: int = typer.Argument(help="From `notify list`."), home: Path = HOME) -> None:
    """Let a notice go that failed or waits, and forget what it says."""
    run(_drop(home, notice_id=notice_id))


async def _drop(home: Path | None, *, notice_id: int) -> None:
    async with opened_database(home) as (_, db), db.transaction() as tx:
        before = await notifications.drop(tx, notice_id)
        await audit.record(tx, _event("notice_dropped", notice_id, before.account_id))
    console.print(f"Notice {notice_id} is dropped.")


def _event(action: str, notice_id: int, account_id: int | None) -> Event:
    return Event(action, account_id, "shell", details={"notice": notice_id})
