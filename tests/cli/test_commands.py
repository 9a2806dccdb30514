"""Commands that succeed: what they write, what they change, and what they keep to themselves."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal
from typer.core import TyperGroup
from typer.main import get_group
from typer.testing import CliRunner

from numberdesk import __version__
from numberdesk.accounts.service import Ring, TokenKeys
from numberdesk.base.db import open_database
from numberdesk.base.migrate import folder
from numberdesk.base.visit import Visit
from numberdesk.cli import app
from numberdesk.providers.simulator import Simulator
from tests.cli.conftest import JWT_SECRET, PROVIDER_KEY, SALT, Install, Installation, asked
from tests.cli.shell import mode_of

MIGRATIONS = sorted(path.name for path in folder().glob("*.sql"))


def commands(group: TyperGroup, *words: str) -> Iterator[tuple[str, ...]]:
    """Return the words of every command below a group."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *words, name)
        else:
            yield (*words, name)


@pytest.fixture(scope="module")
def installation(install: Install) -> Installation:
    """A migrated database for the commands of this file."""
    return install()


@pytest.fixture
def run(installation: Installation) -> Callable[[str], str]:
    """Run a command that must succeed and must not tell a secret."""

    def run(command: str, **settings: str) -> str:
        written = installation.shell.succeed(*command.split(), **settings)
        assert not [secret for secret in installation.secrets if secret in written], written
        return written

    return run


COMMANDS = list(commands(get_group(app)))


def test_the_commands_are_those_that_scripts_rely_on() -> None:
    wanted = "demo, serve, worker, migrate, seed, credit, simulator, db uri, ledger verify, price set"
    wanted += ", provider add, provider list, provider test, provider sync"
    wanted += ", doctor, backup, restore, export, config check, keys rotate, keys drop, db skip"
    assert {tuple(command.split()) for command in wanted.split(", ")} <= set(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_takes_a_home(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "PROVIDER_API_KEY": "a-secret"})
    assert shown.exit_code == 0
    assert "--home" in shown.output
    assert "a-secret" not in shown.output
    text = shown.output.splitlines()
    assert any(line.strip().endswith(".") for line in text[:8]), "a sentence says what it does"


def test_the_version_is_told(run: Callable[[str], str]) -> None:
    assert run("--version") == f"{__version__}\n"


def test_without_words_the_commands_are_listed(installation: Installation) -> None:
    done = installation.shell.run()
    assert "demo" in done.out + done.err
    assert "Traceback" not in done.out + done.err


def test_a_dry_run_of_migrations_writes_nothing(install: Install, portal: BlockingPortal) -> None:
    empty = install(is_migrated=False)
    told = empty.shell.succeed("migrate", "--dry-run")
    assert all(name in told for name in MIGRATIONS)
    assert "Nothing was written." in told
    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert asked(portal, empty.owner_url, tables) == []
    assert empty.shell.succeed("migrate", "--status").count("pending") == len(MIGRATIONS)
    assert asked(portal, empty.owner_url, tables) == []


def test_migrations_are_applied_once(install: Install) -> None:
    shell = install(is_migrated=False).shell
    told = shell.succeed("migrate")
    assert all(f"{name} applied in " in told for name in MIGRATIONS)
    assert f"{len(MIGRATIONS)} applied." in told
    assert shell.succeed("migrate") == shell.succeed("migrate", "--dry-run") == "The database is up to date.\n"
    status = shell.succeed("migrate", "--status")
    assert re.findall(r"(\d{4}_\w+\.sql)\W+applied", status) == MIGRATIONS


def test_seeded_customers_have_keys_that_work_and_money(
    installation: Installation, run: Callable[[str], str], portal: BlockingPortal
) -> None:
    told = run("seed --users 1201 --balance 12.50 --keys-file made/keys")
    assert "1,201 customers made; their keys are in made/keys." in told
    path = installation.shell.folder / "made" / "keys"
    keys = path.read_text().splitlines()
    assert len(keys) == len(set(keys)) == 1201
    assert mode_of(path) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["keys"]
    assert not [key for key in keys if key in told]

    async def balances() -> set[int]:
        db = await open_database(installation.app_url, size=2)
        try:
            ring = Ring(db, peppers=[SALT], tokens=TokenKeys([JWT_SECRET]))
            callers = [
                await ring.authenticate(Visit("seed-test", "127.0.0.1", key=key))
                for key in (keys[0], keys[600], keys[-1])
            ]
            assert len({caller.account_id for caller in callers}) == 3
        finally:
            await db.close()
        return set(asked_wallets)

    asked_wallets = asked(portal, installation.app_url, "SELECT DISTINCT available_paise FROM wallets")
    assert portal.call(balances) == {1250}
    free = "SELECT count(*) FROM purchase_limits WHERE is_free AND may_cancel"
    assert asked(portal, installation.app_url, free) == [1201]


def test_a_second_keys_file_takes_the_place_of_the_first(installation: Installation, run: Callable[[str], str]) -> None:
    path = installation.shell.folder / "again"
    path.write_text("old\n")
    path.chmod(0o644)
    run("seed --users 2 --balance 5 --keys-file again")
    assert len(path.read_text().splitlines()) == 2
    assert mode_of(path) == 0o600


def test_a_credit_counts_once_for_a_reference(
    installation: Installation, run: Callable[[str], str], portal: BlockingPortal
) -> None:
    run("seed --users 1 --balance 100 --keys-file one")
    (email,) = asked(portal, installation.app_url, "SELECT email FROM accounts ORDER BY id DESC LIMIT 1")
    first = run(f"credit {email} 250.50 --reference bank-7")
    assert "250.50" in first
    assert "350.50" in first
    again = run(f"credit {email.upper()} 250.50 --reference bank-7")
    assert "nothing: done before" in again
    assert "350.50" in again
    for _ in range(2):
        without = run(f"credit {email} 1")
    assert "352.50" in without
    assert "[/red]" in run(f"credit {email} 1 --reference [/red]")


def test_the_ledger_is_found_right_or_wrong(install: Install, tamper: Callable[[str, str], None]) -> None:
    installation = install()
    installation.shell.succeed("seed", "--users", "3", "--balance", "10", "--keys-file", "keys")
    told = installation.shell.succeed("ledger", "verify")
    assert re.search(r"The ledger is right: (\d+) checks hold\.", told)
    assert told.count("ok ") == len(told.splitlines()) - 1 > 10
    tamper(installation.admin_url, "UPDATE wallets SET available_paise = available_paise + 1 WHERE account_id = 2")
    wrong = installation.shell.run("ledger", "verify")
    assert wrong.code == 1
    assert re.search(r"^WRONG +I2 ", wrong.out, re.M)
    assert re.fullmatch(r"numberdesk: \d+ of \d+ checks failed: the rows are named above\.\n", wrong.err)


def test_a_provider_is_added_tested_and_synced(
    installation: Installation, run: Callable[[str], str], provider: Simulator, portal: BlockingPortal
) -> None:
    words = ["provider", "add", "alpha", "--kind", "sms-activate", "--url", provider.url]
    added = installation.shell.succeed(*words, PROVIDER_API_KEY=PROVIDER_KEY)
    assert "alpha was added. Next: numberdesk provider test alpha" in added
    sealed = asked(portal, installation.app_url, "SELECT api_key_sealed FROM providers WHERE kind <> 'sandbox'")
    assert PROVIDER_KEY.encode() not in sealed[0]
    assert "never" in run("provider list")
    assert run("provider test alpha") == "alpha answers: balance 123.45, 300 offers.\n"
    assert "300 offers new, 0 changed, 0 gone." in run("provider sync alpha")
    assert "0 offers new, 0 changed, 0 gone." in run("provider sync alpha")
    listed = run("provider list")
    assert "never" not in listed
    assert re.search(
        r"1 .* alpha .* sms-activate .* http://127\.0\.0\.1:\d+/stubs/handler_api\.php .* yes .* UTC", listed
    )
    assert run("provider set alpha --off --poll-ms 500") == "alpha: is_on, poll_ms changed.\n"
    assert " no " in run("provider list")
    run("provider set alpha --on")
    assert not [fact for fact in provider.sold if fact], "none of these commands buys"


def test_a_provider_that_gives_rubbish_changes_nothing(
    installation: Installation, run: Callable[[str], str], provider: Simulator, portal: BlockingPortal
) -> None:
    installation.shell.succeed("provider", "add", "spoiled", "--url", provider.url, "--api-key", PROVIDER_KEY)
    offers = "SELECT count(*) FROM offers"
    before = asked(portal, installation.app_url, offers)
    for profile in ("garbage", "http-500", "big-body", "redirect"):
        portal.call(provider.set_profile, profile)
        try:
            sentence = installation.shell.run("provider", "sync", "spoiled").sentence
        finally:
            portal.call(provider.set_profile, "never")
        assert sentence.startswith("spoiled does not tell its prices: ")
        assert sentence.endswith("Nothing was changed.")
    assert asked(portal, installation.app_url, offers) == before


@pytest.mark.parametrize(
    ("command", "told", "stored"),
    [
        ("price set --margin-percent 20", "Margin 20 %, not below 1.00.", (2000, 100)),
        ("price set --margin-percent 33.33 --floor 2.50 --service tg", "Margin 33.33 %, not below 2.50.", (3333, 250)),
        ("price set --margin-percent -5 --country IN", "Margin -5 %, not below 1.00.", (-500, 100)),
        ("price set --margin-percent=0 --service wa --country 22", "Margin 0 %, not below 1.00.", (0, 100)),
    ],
)
def test_a_price_rule_is_set(
    installation: Installation, run: Callable[[str], str], portal: BlockingPortal, command: str, told: str,
    stored: tuple[int, int],
) -> None:  # fmt: skip
    assert run(command) == told + "\n"
    assert run(command) == told + "\n"
    query = "SELECT (margin_basis_points, floor_paise) FROM price_rules"
    assert asked(portal, installation.app_url, query).count(stored) == 1


def test_the_address_of_the_database_is_printed_plainly(installation: Installation) -> None:
    assert installation.shell.succeed("db", "uri") == f"{installation.app_url}\n"
    assert installation.shell.succeed("db", "uri", "--owner") == f"{installation.owner_url}\n"


def test_a_secret_may_come_from_a_file(installation: Installation, tmp_path: Path) -> None:
    files = {}
    for name, text in {**installation.shell.settings}.items():
        files[f"{name}_FILE"] = str(tmp_path / name)
        (tmp_path / name).write_text(f"{text}\n")
    without = dict.fromkeys(installation.shell.settings, "")
    assert installation.shell.succeed("db", "uri", **without, **files) == f"{installation.app_url}\n"
    assert "checks hold" in installation.shell.succeed("ledger", "verify", **without, **files)
    assert "customers made" in installation.shell.succeed(
        "seed", "--users", "1", "--balance", "1", "--keys-file", "from-files", **without, **files
    )


def test_the_environment_comes_before_a_file(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("postgresql://nobody@127.0.0.1:1/nothing")
    told = installation.shell.succeed("db", "uri", DATABASE_URL_FILE=str(tmp_path / "other"))
    assert told == f"{installation.app_url}\n"


def test_an_empty_setting_counts_as_none(installation: Installation) -> None:
    empty = dict.fromkeys(("PORT", "ORDER_TIMEOUT", "LOG_LEVEL", "NUMBERDESK_HOME", "PG_BIN", "DATABASE_POOL"), "")
    assert installation.shell.succeed("db", "uri", **empty) == f"{installation.app_url}\n"


def test_the_simulator_tells_its_profiles_and_runs(installation: Installation) -> None:
    shell = installation.shell
    assert {"instant", "realistic", "garbage", "sold-then-dropped"} <= set(
        shell.succeed("simulator", "--profile", "list").split()
    )
    words = ("simulator", "--port", "0", "--profile", "instant", "--api-key", "key-of-this-test", "--home", "sim")
    with shell.started(*words) as service:
        url = service.says(r"Simulated provider at (http://\S+), key key-of-this-test, profile instant\.")[1]
        shell.succeed("provider", "add", "local", "--url", url, "--api-key", "key-of-this-test")
        assert "100000.00, 300 offers" in shell.succeed("provider", "test", "local")
        assert (shell.folder / "sim" / "simulator.jsonl").is_file()
        assert service.stop() == 0


def test_serve_and_worker_start_say_so_and_stop(installation: Installation) -> None:
    shell = installation.shell
    with shell.started("serve", "--port", "0", "--no-worker") as web, shell.started("worker") as worker:
        worker.says("The worker runs.")
        address = web.says(r"Numberdesk answers at (http://127\.0\.0\.1:\d+) \(API page: /docs\)")[1]
        status = asyncio.run(_status_line(int(address.rpartition(":")[2])))
        assert status == b"HTTP/1.1 200 OK\r\n"
        assert [web.stop(), worker.stop()] == [0, 0]
        for service in (web, worker):
            assert "Stopping.\n" in service.said  # lines of a pass that ends may follow
            assert not [secret for secret in installation.secrets if secret in service.said]


async def _status_line(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    line = await reader.readline()
    writer.close()
    return line
