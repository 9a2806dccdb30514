"""`doctor`: a right installation is right, and each thing that is wrong is told with what to do, all at once."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from anyio.from_thread import BlockingPortal

from numberdesk.base import crypto
from numberdesk.providers.simulator import Simulator
from tests.cli.conftest import PROVIDER_KEY, Install, Installation
from tests.cli.shell import Ended
from tests.notifications.mailbox import mailbox

TOKEN = "123456:a-token-of-these-tests"


@asynccontextmanager
async def telegram() -> AsyncIterator[str]:
    """Run what answers as Telegram's API for bots does; yields its address."""

    async def handle(request: web.Request) -> web.Response:
        if request.path != f"/bot{TOKEN}/getMe":
            return web.json_response({"ok": False, "error_code": 401, "description": "Unauthorized"}, status=401)
        return web.json_response({"ok": True, "result": {"id": 123456, "is_bot": True, "username": "numbers_bot"}})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
def installation(install: Install, provider: Simulator) -> Installation:
    """A database with a provider, a UPI address and a backup."""
    made = install()
    made.shell.succeed("provider", "add", "alpha", "--url", provider.url, "--api-key", PROVIDER_KEY)
    made.shell.succeed("payment", "vpa", "add", "numbers@okbank", "--name", "Acme")
    made.shell.succeed("backup", "today.backup")
    return made


@pytest.fixture(scope="module")
def outside(portal: BlockingPortal) -> Iterator[dict[str, str]]:
    """Settings that lead to a mail server and to Telegram."""
    with (
        portal.wrap_async_context_manager(mailbox()) as box,
        portal.wrap_async_context_manager(telegram()) as url,
    ):
        yield {
            "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(box.port), "SMTP_SECURITY": "none", "TELEGRAM_URL": url,
            "TELEGRAM_BOT_TOKEN": TOKEN, "PUBLIC_BASE_URL": "https://numbers.example.com",
            "TRUSTED_PROXIES": "127.0.0.1",
        }  # fmt: skip


@pytest.fixture
def doctor(installation: Installation, outside: dict[str, str]) -> Callable[..., Ended]:
    """Run it; no secret may be told, whatever it finds."""

    def run(**changes: str) -> Ended:
        done = installation.shell.run("doctor", **(outside | changes))
        told = done.out + done.err
        assert not [secret for secret in installation.secrets | {TOKEN, "hidden"} if secret in told], told
        assert "Traceback" not in told, told
        return done

    return run


def lines(done: Ended) -> dict[str, str]:
    """Return every line by what it is about; the words of one begin with how it stands."""
    found: dict[str, str] = {}
    for line in done.out.splitlines():
        level, _, rest = line.partition(" ")
        if level in ("ok", "warning", "WRONG"):
            what, _, words = rest.strip().partition("  ")
            found[what] = f"{found[what]}; " if what in found else ""
            found[what] += f"{level}: {words.strip()}"
    return found


def test_a_right_installation_is_right_in_every_line(installation: Installation, doctor: Callable[..., Ended]) -> None:
    with installation.shell.started("worker") as worker:
        worker.says("The worker runs")
        done = doctor()
    assert (done.code, done.err) == (0, ""), done
    found = lines(done)
    assert found.keys() == {
        "settings", "disk", "database", "clocks", "rights", "migrations", "worker", "provider", "mail", "telegram",
        "backup", "proxies",
    }  # fmt: skip
    assert all(words.startswith("ok: ") for words in found.values()), found
    assert found["provider"] == "ok: alpha has 123.45 rupees of ours"
    assert found["telegram"] == "ok: the bot is @numbers_bot"
    assert "lets us in" in found["mail"]
    assert done.out.endswith(f"Everything is right: {len(found)} checks.\n")


WRONG: dict[str, tuple[dict[str, str], str, str]] = {
    "no mail server": ({"SMTP_PORT": "9"}, "mail", "WRONG: 127.0.0.1:9 (none): no connection to the server"),
    "mail without TLS": ({"SMTP_SECURITY": "starttls"}, "mail", "WRONG"),
    "mails wait": ({"SMTP_HOST": ""}, "mail", "warning: SMTP_HOST is not set"),
    "wrong token": (
        {"TELEGRAM_BOT_TOKEN": "110201543:hidden-hidden-hidden-hidden"},
        "telegram",
        "WRONG: the token is not known there",
    ),
    "no Telegram": ({"TELEGRAM_URL": "http://127.0.0.1:9"}, "telegram", "WRONG: it is not reached"),
    "other keys": ({"ENCRYPTION_KEYS": crypto.new_key()}, "encryption", "WRONG: A stored secret cannot be decrypted"),
    "no proxy trusted": ({"TRUSTED_PROXIES": ""}, "proxies", "warning: none is trusted"),
    "no public address": ({"PUBLIC_BASE_URL": ""}, "links", "warning: PUBLIC_BASE_URL is not set"),
    "no database": ({"DATABASE_URL": "postgresql://a:hidden@127.0.0.1:9/b"}, "database", "WRONG: "),
    "wrong setting": ({"PORT": "abc"}, "PORT", "WRONG: "),
    "half a wallet": ({"TRON_XPUB": "xpub"}, "TRON_FIRST_ADDRESS", "WRONG: must be the wallet's first address"),
    "no Redis": ({"REDIS_URL": "redis://:hidden@127.0.0.1:9/0"}, "redis", "WRONG: it does not answer"),
    "no address of Redis": ({"REDIS_URL": "hidden"}, "REDIS_URL", "WRONG: the address of Redis cannot be used"),
    "no packages": ({"SENTRY_DSN": "https://hidden@x/1"}, "SENTRY_DSN", "WRONG: needs packages that are missing"),
    "nothing runs": ({}, "worker", "warning: no server and no worker is connected"),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_thing_that_is_wrong_is_told_and_the_rest_is_looked_at(doctor: Callable[..., Ended], name: str) -> None:
    changes, what, words = WRONG[name]
    done = doctor(**changes)
    assert words in lines(done)[what], done
    assert done.code == ("WRONG" in words), done
    assert {"proxies", "links"} & lines(done).keys() or name == "wrong setting"
    if done.code:
        assert " 1 is wrong, and " in done.err


def test_a_database_that_is_not_ready_is_told(
    install: Install, installation: Installation, outside: dict[str, str]
) -> None:
    empty = install(is_migrated=False)
    urls = {"DATABASE_URL": empty.owner_url}
    found = lines(installation.shell.run("doctor", **(outside | urls)))
    assert found["migrations"].startswith("WRONG: The database lacks 0001_accounts.sql")
    old = lines(installation.shell.run("doctor", DATABASE_URL=installation.owner_url, **outside))
    assert "owns the tables, and so may rewrite the ledger" in old["rights"]
    admin = lines(installation.shell.run("doctor", DATABASE_URL=installation.admin_url, **outside))
    assert "is a superuser" in admin["rights"]


def test_work_that_waits_and_backups_that_are_old_are_told(
    installation: Installation, doctor: Callable[..., Ended], tamper: Callable[[str, str], None]
) -> None:
    tamper(installation.admin_url, "UPDATE audit_log SET at = at - interval '3 days' WHERE action = 'backup_made'")
    tamper(
        installation.admin_url,
        "INSERT INTO webhook_events (gateway, event_id, kind, body_sha256, due_at)"
        " SELECT 'razorpay', 'e', 'k', 'x', now() - interval '1 hour'",
    )
    found = lines(doctor())
    assert found["backup"].startswith("warning: the last is 72 h old (today.backup)")
    assert found["worker"].startswith("WRONG: work has been waiting for 3,6")


def test_what_no_worker_has_sealed_yet_is_not_called_changed(
    install: Install, tamper: Callable[[str, str], None]
) -> None:
    alone = install()
    alone.shell.succeed("backup", "alone.backup")
    tamper(alone.admin_url, "UPDATE audit_log SET at = at - interval '3 days'")
    assert "The audit log is whole: 1 rows." in alone.shell.succeed("audit", "verify")
    tamper(alone.admin_url, "UPDATE audit_log SET at = at - interval '3 days'")
    assert alone.shell.run("audit", "verify").out == "row 1 was changed\n"
