"""Commands that cannot do what they are asked: each ends with one clear sentence and exit code 1."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base import crypto
from numberdesk.providers.simulator import Simulator
from tests.cli.conftest import PROVIDER_KEY, Install, Installation, asked
from tests.cli.shell import Ended
from tests.notifications.telegram import TOKEN

SETTINGS = {
    "PORT": ["abc", "-1", "70000", "3000.5"],
    "ORDER_TIMEOUT": ["abc", "5", "1e99", "20 minutes"],
    "CANCEL_TIMEOUT": ["-1", "abc"],
    "DATABASE_POOL": ["1", "1000"],
    "LOG_LEVEL": ["loud"],
    "LOG_FORM": ["xml"],
    "APP_ENV": ["staging"],
    "DATABASE_URL": ["localhost", "mysql://a:hidden@b/c"],
}
"""Values that each setting refuses by its name."""

REFUSED: dict[str, tuple[str, str]] = {
    "seed --users 3 --balance 1e3 --keys-file keys": ("", "--balance must be rupees"),
    "seed --users 3 --balance 0 --keys-file keys": ("", "--balance must be more than zero"),
    "seed --users 3 --balance 10 --keys-file file/keys": ("", "cannot be written"),
    "seed --users 3 --balance 10 --keys-file .": ("", "cannot be written"),
    "provider add Bad_Name --url http://127.0.0.1 --api-key k": ("", "name must be 1 to 40"),
    "provider add x --kind smoke --url http://127.0.0.1 --api-key k": ("", "kind must be one of sms-activate"),
    "provider add x --url ftp://127.0.0.1 --api-key k": ("", "url must begin with http:// or https://"),
    "provider add x --url http://u:p@127.0.0.1 --api-key k": ("", "url must not hold a user name"),
    "provider add x --url http://127.0.0.1/?api_key=k --api-key k": ("", "url must not hold a query"),
    "provider add x --url http://127.0.0.1 --api-key ä": ("", "api_key must be 1 to 500 plain characters"),
    "provider add x --url http://127.0.0.1 --api-key k --paise-per-unit 0": ("", "paise_per_unit must be between"),
    "provider add alpha --url http://127.0.0.1 --api-key k": ("", "name is taken by another provider"),
    "provider test nobody": ("", "There is no such provider 'nobody'"),
    "provider test [/red]": ("", "There is no such provider '[/red]'"),
    "provider sync nobody": ("", "There is no such provider 'nobody'"),
    "provider set nobody --off": ("", "There is no such provider 'nobody'"),
    "provider set alpha --deadline-ms 1": ("", "deadline_ms must be between 100 and 60000"),
    "provider test dead": ("", "dead does not tell its balance"),
    "provider sync dead": ("", "Nothing was changed"),
    "provider test stranger": ("", "BAD_KEY"),
    "provider sync garbage": ("", "Nothing was changed"),
    "price set --margin-percent abc": ("", "margin-percent must be a number"),
    "price set --margin-percent sNaN": ("", "margin-percent is out of range"),
    "price set --margin-percent NaN": ("", "margin-percent is out of range"),
    "price set --margin-percent 1e9999999": ("", "margin-percent is out of range"),
    "price set --margin-percent -100": ("", "marginPercent must be from -99.99 to 10000"),
    "price set --margin-percent 1.234": ("", "marginPercent must have at most two decimals"),
    "price set --margin-percent 20 --floor abc": ("", "floor must be rupees"),
    "price set --margin-percent 20 --service zz --country ZZ --provider zz": ("", "service is not the code"),
    "price set --margin-percent 20 --customer nobody@example.com": ("", "customer is not the address of an account"),
    "credit nobody@example.com 5": ("", "There is no such account"),
    "credit nobody@example.com 5 --reference staff:1": ("", "A reference must not begin with staff:"),
    "credit nobody@example.com 1.234": ("", "The amount must be rupees"),
    "simulator --profile nope": ("", "No profile is called 'nope'"),
    "simulator --port {busy}": ("", "address already in use"),
    "serve --port {busy}": ("", "cannot be used (Address already in use): choose another with --port"),
    "serve --host 192.0.2.1 --port 0": ("", "Port 0 of 192.0.2.1 cannot be used"),
    "serve --port 99999": ("", "PORT: "),
    "serve --port 0 ": ("API_KEY_SALT=", "API_KEY_SALT: must be set"),
    "serve --port 0 --workers 2": ("API_KEY_SALT=", "API_KEY_SALT: must be set"),
    "serve --port 0  ": ("API_KEY_SALT=short", "API_KEY_SALT: must be set, to at least 16 characters"),
    "serve --port 0   ": ("ENCRYPTION_KEYS=", "ENCRYPTION_KEYS: must be set"),
    "serve --port 0    ": ("ENCRYPTION_KEYS=x,y", "ENCRYPTION_KEYS: each must be 32 bytes in URL-safe base64"),
    "serve --port 0     ": (f"ENCRYPTION_KEYS={crypto.new_key()}", "ENCRYPTION_KEYS is not the one it was stored with"),
    "serve --port 0      ": ("JWT_SECRET=", "JWT_SECRET: must be set, to at least 32 bytes"),
    "serve --port 0       ": ("JWT_SECRET=your-secret", "JWT_SECRET: is one that everybody knows"),
    "serve --port 0        ": ("JWT_SECRET=abcdefghijklm", "JWT_SECRET: must have at least 32 bytes"),
    "serve --port 0         ": (f"JWT_SECRET={'ab' * 20}", "JWT_SECRET: must have at least 10 different"),
    "serve --port 0          ": ("RATE_LIMIT_LOGIN=off", "RATE_LIMIT_LOGIN: cannot be off"),
    "serve --port 0           ": ("RATE_LIMIT_API=five potatoes", "RATE_LIMIT_API: "),
    "serve --port 0            ": ("TRUSTED_PROXIES=*", "TRUSTED_PROXIES: "),
    "serve --port 0             ": ("MAIL_FROM=nobody", "MAIL_FROM: "),
    "admin create you@example.org --role king": ("", "--role must be one of: support, finance, ops, owner"),
    "admin reset-password nobody@example.com": ("", "There is no such account"),
    "account state nobody@example.com frozen": ("", "There is no such account"),
    "account state nobody@example.com happy": ("", "The state must be one of: active"),
    "email-domain remove example.org": ("", "There was no word on example.org"),
    "email-domain deny not_a_domain": ("", "domain is not a mail domain"),
    "mail test you@example.org": ("", "SMTP_HOST is not set"),
    "notify test": ("", "--to must be set to an address"),
    "notify test --to you@example.org": ("", "SMTP_HOST is not set"),
    "notify test --channel pigeon": ("", "--channel must be one of: email, telegram, apprise"),
    "notify test --channel telegram": ("", "TELEGRAM_BOT_TOKEN is not set"),
    "notify test --channel telegram ": ("TELEGRAM_BOT_TOKEN=hidden", "TELEGRAM_BOT_TOKEN: must be as @BotFather gave"),
    "notify test --channel telegram  ": (f"TELEGRAM_BOT_TOKEN={TOKEN}", "TELEGRAM_CHAT_ID is not set, and --to was"),
    "notify test --channel telegram --to me": (f"TELEGRAM_BOT_TOKEN={TOKEN}", "--to must be a chat's id"),
    "notify test --channel apprise": ("", "APPRISE_URLS is not set"),
    "notify test --channel apprise ": ("APPRISE_URLS=json://hidden", "but apprise is not installed: pip install"),
    "notify list --state lost": ("", "--state must be one of: waiting, sent, failed, dropped"),
    "notify retry": ("", "Name one notice, or say --all"),
    "notify retry 77": ("", "There is no such notice"),
    "notify drop 77": ("", "There is no such notice"),
    "serve --port 0              ": ("TELEGRAM_URL=telegram", "TELEGRAM_URL: must begin with https://"),
    "serve --port 0               ": ("STAFF_EVENTS=gossip", "STAFF_EVENTS: may hold registration, recharge"),
    "keys new NOTHING": ("", "There is no secret NOTHING"),
    "worker": ("ENCRYPTION_KEYS=", "ENCRYPTION_KEYS: must be set"),
    "seed --users 1 --balance 5 --keys-file keys": ("API_KEY_SALT=", "API_KEY_SALT: must be set"),
    "provider test alpha": (f"ENCRYPTION_KEYS={crypto.new_key()}", "cannot be decrypted"),
    "ledger verify": ("DATABASE_URL=postgresql://a:hidden@127.0.0.1:1/b", "out of reach: Connection refused"),
    "ledger verify      ": ("DATABASE_URL=postgresql://a:hidden@no-such-host.invalid/b", "out of reach: "),
    "ledger verify ": ("API_KEY_SALT_FILE=missing", "API_KEY_SALT_FILE: cannot read missing: No such file"),
    "ledger verify  ": ("API_KEY_SALT_FILE=.", "API_KEY_SALT_FILE: cannot read .: Is a directory"),
    "ledger verify   ": ("API_KEY_SALT_FILE=rubbish", "API_KEY_SALT_FILE: rubbish does not hold text"),
    "ledger verify --home file": ("DATABASE_URL=", "is a file, but the database needs a folder there"),
    "demo --home file --port 0": ("DATABASE_URL=", "is a file, but the database needs a folder there"),
}
"""Command -> what of the environment is different, and what the sentence says. Blanks at the end tell keys apart."""


@dataclass(frozen=True)
class Scene:
    """An installation with good and bad providers, and a port that is taken."""

    installation: Installation
    busy: int

    def run(self, command: str, change: str = "") -> Ended:
        name, _, value = change.partition("=")
        words = command.format(busy=self.busy).split()
        done = self.installation.shell.run(*words, **({name: value} if name else {}))
        secrets = self.installation.secrets | {"hidden", "another-key"}
        assert not [secret for secret in secrets if secret in done.out + done.err], done
        return done

    def left(self) -> set[str]:
        return {path.name for path in self.installation.shell.folder.iterdir()}


@pytest.fixture(scope="module")
def scene(install: Install, provider: Simulator) -> Iterator[Scene]:
    installation = install()
    shell = installation.shell
    for name, url, key in (
        ("alpha", provider.url, PROVIDER_KEY),
        ("stranger", provider.url, "another-key"),
        ("dead", "http://127.0.0.1:1/", "k"),
        ("garbage", provider.base_url + "/nothing-here/", PROVIDER_KEY),
    ):
        shell.succeed("provider", "add", name, "--url", url, "--api-key", key)
    (shell.folder / "file").touch()
    (shell.folder / "rubbish").write_bytes(b"\xff\xfe\x00")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield Scene(installation, taken.getsockname()[1])


@pytest.mark.parametrize("command", REFUSED)
def test_a_refused_command_says_why_in_one_sentence_and_leaves_nothing(scene: Scene, command: str) -> None:
    change, words = REFUSED[command]
    assert words in scene.run(command, change).sentence
    assert scene.left() == {"file", "rubbish"}


def test_refused_commands_changed_nothing(scene: Scene, portal: BlockingPortal) -> None:
    listed = scene.run("provider list").out
    assert listed.count("sms-activate") == listed.count("never") == 4
    for table in ("accounts", "price_rules", "offers", "postings"):
        assert asked(portal, scene.installation.app_url, f"SELECT count(*) FROM {table}") == [0], table


def test_every_setting_refuses_by_its_name(scene: Scene) -> None:
    for name, values in SETTINGS.items():
        for value in values:
            assert scene.run("ledger verify", f"{name}={value}").sentence.startswith(f"{name}: "), value


def test_every_wrong_setting_is_named_at_once(scene: Scene) -> None:
    done = scene.installation.shell.run("serve", PORT="abc", ORDER_TIMEOUT="5", LOG_LEVEL="loud")
    assert [name for name in ("PORT: ", "ORDER_TIMEOUT: ", "LOG_LEVEL: ") if name not in done.sentence] == []


def test_an_empty_database_is_refused_until_it_is_migrated(install: Install) -> None:
    shell = install(is_migrated=False).shell
    for words in (("serve", "--port", "0"), ("worker",), ("ledger", "verify")):
        assert "run `numberdesk migrate` first" in shell.run(*words).sentence


def test_a_database_of_a_newer_version_is_refused(install: Install, tamper: Callable[[str, str], None]) -> None:
    installation = install()
    tamper(
        installation.admin_url,
        "INSERT INTO schema_migrations (number, name, checksum, took_ms) VALUES (9999, 'of_the_future', '', 1)",
    )
    for words in (("serve", "--port", "0"), ("provider", "list")):
        sentence = installation.shell.run(*words).sentence
        assert "newer than this version of Numberdesk" in sentence
        assert "9999_of_the_future.sql" in sentence


@pytest.mark.parametrize("words", [["nonsense"], ["seed", "--users", "0"], ["credit"], ["serve", "--workers", "x"]])
def test_wrong_use_is_told_the_right_one(scene: Scene, words: list[str]) -> None:
    done = scene.installation.shell.run(*words)
    assert done.code == 2
    assert "Usage: " in done.err
    assert "Traceback" not in done.err


def test_damaged_secrets_of_a_home_are_not_made_anew(scene: Scene, tmp_path: Path) -> None:
    home = tmp_path
    (home / "secrets.json").write_text("{")
    done = scene.run(f"serve --port 0 --home {home}", "API_KEY_SALT=")
    assert "secrets.json is damaged" in done.sentence
    assert (home / "secrets.json").read_text() == "{"
