"""`payment` as an operator types it: addresses, statements, the wallet, rates, comparisons. Refusals come first."""

import re
from collections.abc import Callable

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.crypto import new_key
from tests.cli.conftest import Install, Installation, asked
from tests.payments.test_tron_address import VECTORS, XPUB

ADDRESS = "numbers@okbank"
HEADER = "date,utr,amount,narration\n"
RECHARGE = """
INSERT INTO recharges (ref, account_id, method, rail, requested_paise, payable_paise, status, vpa_id, created_at,
                       expires_at)
SELECT '{ref}', {account}, 'upi', 'upi_manual', 10000, 10000, 'submitted', 1, '2026-11-25 10:00Z', '2026-11-25 10:30Z';
INSERT INTO utr_claims (recharge_id, account_id, vpa_id, rrn, state)
SELECT id, account_id, vpa_id, '{utr}', 'waiting' FROM recharges WHERE ref = '{ref}'
"""
"""What a customer began and claimed; by the API it would take a running service."""


@pytest.fixture(scope="module")
def installation(install: Install) -> Installation:
    """A database with one customer and one open address."""
    found = install()
    found.shell.succeed("seed", "--users", "1", "--balance", "1", "--keys-file", "keys")
    found.shell.succeed("payment", "vpa", "add", ADDRESS, "--name", "Acme Numbers")
    return found


@pytest.fixture
def refused(installation: Installation) -> Callable[..., str]:
    """Run a command that must end with one sentence."""
    return lambda command, **settings: installation.shell.run(*command.split(), **settings).sentence


@pytest.fixture
def run(installation: Installation) -> Callable[..., str]:
    """Run a command that must succeed and must not tell a secret."""

    def run(command: str, **settings: str) -> str:
        written = installation.shell.succeed(*command.split(), **settings)
        assert not [secret for secret in installation.secrets if secret in written], written
        return written

    return run


@pytest.fixture
def write(installation: Installation) -> Callable[[str, str], None]:
    """Put a file where commands run."""

    def write(name: str, text: str) -> None:
        (installation.shell.folder / name).write_text(text, encoding="utf-8")

    return write


@pytest.mark.parametrize("address", ["numbers", "numbers@okbank.com", "a b@okbank", "@okbank"])
def test_what_is_no_upi_address_is_refused(
    refused: Callable[..., str], installation: Installation, address: str
) -> None:
    done = installation.shell.run("payment", "vpa", "add", address, "--name", "Acme")
    assert done.sentence.startswith("vpa ")


def test_an_address_without_a_payee_is_refused(installation: Installation) -> None:
    done = installation.shell.run("payment", "vpa", "add", "other@okbank", "--name", " ")
    assert done.sentence == "payeeName is required: apps show it to the payer."


def test_an_address_that_is_not_ours_cannot_be_closed(refused: Callable[..., str]) -> None:
    assert refused("payment vpa close nobody@okbank") == "There is no such UPI address."


def test_addresses_are_opened_closed_and_listed(install: Install) -> None:
    shell = install().shell
    made = shell.succeed("payment", "vpa", "add", "Shop@OkBank", "--name", "Acme [Shop]", "--merchant")
    assert made == "Open: shop@okbank (merchant), paid to Acme [Shop].\n"
    assert re.search(r"shop@okbank .* Acme \[Shop\] .* merchant .* yes", shell.succeed("payment", "vpa", "list"))
    assert shell.succeed("payment", "vpa", "close", "SHOP@okbank") == "shop@okbank is closed.\n"
    assert re.search(r"shop@okbank .* no ", shell.succeed("payment", "vpa", "list"))
    shell.succeed("payment", "vpa", "add", "shop@okbank", "--name", "Acme")
    assert re.search(r"shop@okbank .* Acme .* personal .* yes", shell.succeed("payment", "vpa", "list"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "x.csv is empty."),
        ("%PDF-1.7 and so on", "x.csv is not a CSV file: save the statement as CSV first."),
        ("date,utr\n26/11/2026,412345678901\n", None),
        ("hello\n", None),
    ],
)
def test_what_is_no_statement_is_refused(
    refused: Callable[..., str], write: Callable[[str, str], None], text: str, sentence: str | None
) -> None:
    write("x.csv", text)
    told = refused("payment import x.csv")
    assert told == sentence if sentence else told.startswith("profile must be one of: axis, ")
    assert refused("payment import x.csv --profile generic").startswith("x.csv ")


def test_an_unknown_profile_and_another_address_are_refused(
    refused: Callable[..., str], write: Callable[[str, str], None]
) -> None:
    write("good.csv", f"{HEADER}26/11/2026,412345678901,100.00,\n")
    assert refused("payment import good.csv --profile nobank").startswith("profile must be one of: ")
    assert refused("payment import good.csv --vpa other@okbank") == f"vpa must be one of: {ADDRESS}."


def test_a_statement_credits_who_claimed_and_names_each_bad_row(
    installation: Installation, run: Callable[..., str], write: Callable[[str, str], None], portal: BlockingPortal
) -> None:
    (account,) = asked(portal, installation.app_url, "SELECT max(id) FROM accounts")
    for statement in RECHARGE.format(ref="RCTEST1", account=account, utr="412345670001").split(";"):
        asked(portal, installation.app_url, statement)
    rows = [f"2026-11-25T15:40:00+05:30,41234567{place:04},{place}.00,row" for place in range(2, 1203)]
    rows[0] = "2026-11-25T15:40:00+05:30,412345670001,100.00,hers"
    rows[1200] = "2026-11-25T16:00:00+05:30,412345671202,7.00,later"
    rows[700] = "yesterday,412345679999,5.00,[red]"
    rows[900] = "2026-11-25T15:40:00+05:30,41234567,5.00,"
    rows[902] = "2026-11-25T15:40:00+05:30,4.12E+11,5.00,"
    write("bank.csv", HEADER + "\n".join(rows))
    told = run("payment import bank.csv")
    assert "1,201 rows: 1,198 payments new, 0 known before, 0 without money that came in, 3 bad." in told
    assert "1 credited to customers." in told
    assert re.findall(r"^  line (\d+) .*(date|UTR)", told, re.M) == [("702", "date"), ("902", "UTR"), ("904", "UTR")]
    assert "1201/1201" in told
    assert asked(portal, installation.app_url, "SELECT credited_paise FROM recharges") == [10_000]
    again = run(f"payment import bank.csv --vpa {ADDRESS.upper()} --profile generic")
    assert "bank.csv was imported before, on " in again
    assert "1,201 rows: 1,198 payments new" in again
    assert "line 702" in again
    assert "ledger is right" in run("ledger verify")


def test_the_report_shows_what_came_in_and_what_waits(run: Callable[..., str]) -> None:
    told = run("payment report --days 1")
    assert re.search(r"upi_manual .* credited .* 1 .* 100\.00 .* 0\.00", told), told
    assert "    0  claims that wait for a person\n" in told
    assert "    0  payments in suspense\n" in told
    assert "  200+ credits of the bank that nobody claimed\n" in told


def test_a_source_that_is_unknown_or_not_set_up_is_refused(refused: Callable[..., str]) -> None:
    assert refused("payment reconcile --source mars") == "--source must be one of: gateway, bank, chain; mars is none."
    assert refused("payment reconcile --source bank --source chain").startswith("No chain is set up")


def test_what_the_bank_shows_and_the_books_do_not_is_named(installation: Installation) -> None:
    done = installation.shell.run("payment", "reconcile", "--days", "30")
    assert done.code == 1
    assert re.search(r"^WRONG bank     1,198 compared, 200 differences, 0 unclear$", done.out, re.M), done.out
    assert "       412345670003: 3.00 came in and belongs to nobody yet\n" in done.out
    assert done.err.splitlines()[-1] == "numberdesk: 200 differences and 0 unclear: they are named above."


def test_books_that_agree_end_with_success(install: Install, portal: BlockingPortal) -> None:
    empty = install()
    assert empty.shell.succeed("payment", "reconcile") == "ok   bank     0 compared, 0 differences, 0 unclear\n"
    assert asked(portal, empty.app_url, "SELECT source FROM reconciliations") == ["bank"]


def test_a_wallet_is_only_checked_when_it_is_set_and_public(refused: Callable[..., str]) -> None:
    assert refused("payment tron check") == "TRON_XPUB: must be set."
    words = " ".join(["abandon"] * 11 + ["about"])
    for private in (
        words,
        "xprv9s21ZrQH143K3GJpoapnV8SFfukcVBSfeCficPSGfubmSFDxo1kuHnLisriDvSnRRuL2Qrg5ggqHKNVpxR86QEC8w35uxmGoggxtQTPvfUu",
    ):
        told = refused("payment tron check", TRON_XPUB=private)
        assert told.startswith("TRON_XPUB: This looks like a private key or a seed phrase.")
        assert private not in told


def test_the_first_addresses_are_shown_with_what_to_compare(run: Callable[..., str]) -> None:
    first = [address for xpub, index, address, _ in VECTORS if xpub == XPUB and index < 4]
    told = run("payment tron check --count 4", TRON_XPUB=XPUB)
    assert re.findall(r"^ +\d+  (T\w+)$", told, re.M) == first
    assert f"set TRON_FIRST_ADDRESS={first[0]}" in told
    assert "is address 0." in run("payment tron check", TRON_XPUB=XPUB, TRON_FIRST_ADDRESS=first[0])
    told = run("payment tron check", TRON_XPUB=XPUB, TRON_FIRST_ADDRESS=first[1])
    assert f"TRON_FIRST_ADDRESS is {first[1]}, and not address 0." in told
    assert XPUB not in told


@pytest.mark.parametrize("price", ["0", "-1", "nan", "1e30", "ten"])
def test_a_price_that_is_none_is_refused(installation: Installation, price: str) -> None:
    done = installation.shell.run("payment", "rate", "set", "trx", "--hours", "1", "--", price)
    assert done.sentence in ("The price must be a number.", "The price is out of range.")


def test_an_unknown_asset_is_refused(refused: Callable[..., str]) -> None:
    assert refused("payment rate set btc 10 --hours 1") == "The asset must be one of: trx, usdt."
    assert refused("payment rate clear btc") == "The asset must be one of: trx, usdt."


def test_a_rate_is_fixed_shown_and_taken_back(run: Callable[..., str]) -> None:
    assert re.search(r"trx .* none .* no price is fresh enough", run("payment rate show"))
    assert run("payment rate set trx 27.355 --hours 2").startswith("One trx is 27.355 rupees for 2 h")
    shown = run("payment rate show")
    assert re.search(r"trx .* 27\.355\d* .* staff .* staff \d\d:\d\d:\d\d, until .* UTC", shown), shown
    assert re.search(r"usdt .* none ", shown)
    run("payment rate clear trx")
    assert re.search(r"trx .* none ", run("payment rate show"))


def test_what_payments_sealed_is_sealed_again_with_a_newer_key(
    installation: Installation, run: Callable[..., str]
) -> None:
    newer = new_key()
    told = run("keys rotate", ENCRYPTION_KEYS=f"{newer},{installation.encryption_key}")
    assert re.search(r"^payments +1[12]\d\d sealed anew$", told, re.M), told
    assert re.search(r"^payments +0 sealed anew$", run("keys rotate", ENCRYPTION_KEYS=newer), re.M)
