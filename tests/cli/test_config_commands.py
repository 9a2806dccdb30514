"""`config check`: every setting and its source, no secret, and everything that is wrong at once."""

import uuid
from pathlib import Path

import pytest

from numberdesk.base import crypto
from numberdesk.settings import SECRETS, Settings
from tests.cli.shell import Forge, Shell

GOOD = {
    "DATABASE_URL": "postgresql://a:hidden@db.example.com/numberdesk", "API_KEY_SALT": "salt-of-the-tests-of-settings",
    "JWT_SECRET": "signs the tokens of the tests of settings: 0123456789",
}  # fmt: skip
WRONG = {
    "PORT": "abc", "ORDER_TIMEOUT": "5", "APP_ENV": "staging", "JWT_SECRET": "your-secret", "API_KEY_SALT": "short",
    "ENCRYPTION_KEYS": "x", "MAIL_FROM": "nobody", "MIN_RECHARGE_AMOUNT": "500", "MAX_RECHARGE_AMOUNT": "100",
    "REDIS_URL_FILE": "missing", "RAZORPAY_KEY_ID": "rzp_test_x", "TRUSTED_PROXIES": "*", "RATE_LIMIT_LOGIN": "often",
    "CASHFREE_CLIENT_ID": "x", "UPI_RAIL": "phonepe", "TRON_XPUB": "xprv", "TRON_FIRST_ADDRESS": "T",
    "GST_ENABLED": "1", "TRON_OWN_ADDRESSES": "T", "SENTRY_DSN": "https://key@x/1",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318",
}  # fmt: skip
"""Settings that are all wrong at the same time."""
SLIPS = {
    "SMPT_HOST": "Did you mean SMTP_HOST?", "RATE_LIMIT_LOGN": "Did you mean RATE_LIMIT_LOGIN?",
    "MONGO_URI": "Here it is called DATABASE_URL.", "NODE_ENV": "Here it is called APP_ENV.",
    "PORT_FILE": "Only secrets come as files: set PORT itself.", "NUMBERDESK_COLOUR": "docs/settings.md names all",
    "ENCRYPTION_KEY": "Did you mean ENCRYPTION_KEYS?", "TRUSTED_PROXY": "Did you mean TRUSTED_PROXIES?",
}  # fmt: skip


@pytest.fixture(scope="module")
def shell(forge: Forge, run_folder: Path) -> Shell:
    """A folder without a home, and settings that are right."""
    folder = run_folder / f"config-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    return Shell(forge, folder, GOOD | {"ENCRYPTION_KEYS": crypto.new_key()})


def test_every_setting_is_shown_with_its_source_and_no_secret(shell: Shell) -> None:
    (shell.folder / "password").write_text("hidden-too\n")
    told = shell.succeed("config", "check", SMTP_PASSWORD_FILE="password", PORT="4000", TRON_URL="https://u:hidden@x.y")
    lines = {words[0]: words[1:] for line in told.splitlines() if len(words := line.strip("│ ").split("│")) == 3}
    shown = {name.strip(): [word.strip() for word in words] for name, words in lines.items()}
    assert shown.keys() >= {name.upper() for name in Settings.model_fields}
    assert shown["PORT"] == ["4000", "environment"]
    assert shown["HOST"] == ["127.0.0.1", "default"]
    assert shown["SMTP_PASSWORD"] == ["set", "SMTP_PASSWORD_FILE (password)"]
    assert shown["TRON_URL"][0] == "https://…@x.y"
    assert shown["DATABASE_URL"] == ["set", "environment"]
    assert not [secret for secret in ("hidden", *shell.settings.values()) if secret in told]
    assert "Everything is right" in told
    assert not list(shell.folder.glob("*home*")), "nothing is started for it"


def test_all_that_is_wrong_is_told_at_once_each_with_what_to_do(shell: Shell) -> None:
    done = shell.run("config", "check", **WRONG)
    assert done.code == 1
    wrong = [line.split()[1] for line in done.out.splitlines() if line.startswith("WRONG")]
    names = {name.removesuffix("_FILE") for name in WRONG} - {"MIN_RECHARGE_AMOUNT", "MAX_RECHARGE_AMOUNT"}
    ids = {"RAZORPAY_KEY_ID", "CASHFREE_CLIENT_ID", "TRON_FIRST_ADDRESS"}
    needed = {"RAZORPAY_KEY_SECRET", "CASHFREE_CLIENT_SECRETS"}
    assert {name for name in wrong if name != "settings"} == (names - ids) | needed
    assert "MIN_RECHARGE_AMOUNT must not be above MAX_RECHARGE_AMOUNT" in done.out
    assert "Take 1,000 to 86,400,000, or unset it for the default, which is 1200000." in done.out
    assert "Take one of production, development, demo" in done.out
    assert "default, which is ." not in done.out
    assert "`numberdesk keys new JWT_SECRET` makes one" in done.out
    assert (
        done.err == f"numberdesk: Of {len(wrong)} checks {len(wrong)} are wrong, and 0 warn: the fixes stand above.\n"
    )


@pytest.mark.parametrize("name", SLIPS)
def test_a_name_that_looks_like_a_setting_and_is_none_is_told(shell: Shell, name: str) -> None:
    told = shell.succeed("config", "check", **{name: "x"})
    (line,) = [line for line in told.splitlines() if line.startswith("warning")]
    assert line.split()[1] == name
    assert SLIPS[name] in told


def test_names_that_have_nothing_to_do_with_us_are_left_alone(shell: Shell) -> None:
    others = {"EDITOR": "vi", "SSH_AUTH_SOCK": "/x", "PGHOST": "db", "LANG": "C", "SUPPORT": "x", "HOSTNAME": "box"}
    assert "warning" not in shell.succeed("config", "check", **others)


def test_a_secret_that_comes_twice_is_told(shell: Shell) -> None:
    (shell.folder / "salt").write_text("another-salt-of-the-tests")
    assert "API_KEY_SALT wins" in shell.succeed("config", "check", API_KEY_SALT_FILE="salt")
    assert "API_KEY_SALT" in SECRETS


def test_a_home_that_keeps_its_secrets_needs_none_in_the_environment(shell: Shell) -> None:
    none = dict.fromkeys(("DATABASE_URL", "API_KEY_SALT", "JWT_SECRET", "ENCRYPTION_KEYS"), "")
    assert "Everything is right" in shell.succeed("config", "check", **none)
    done = shell.run("config", "check", API_KEY_SALT="", ENCRYPTION_KEYS="", JWT_SECRET="")
    assert done.out.count("must be set") == 3


def test_secrets_that_cannot_be_read_are_told_and_not_made_anew(shell: Shell) -> None:
    (shell.folder / "strange" / "secrets.json").mkdir(parents=True)
    done = shell.run("config", "check", "--home", "strange", JWT_SECRET="")
    assert (done.code, done.err.count("\n")) == (1, 1), done
    assert "secrets.json cannot be read: Is a directory. Run the command as the user to whom the home" in done.out
