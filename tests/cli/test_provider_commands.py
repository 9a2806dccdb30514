"""`provider` beyond adding and asking: caps, how providers do, alerts, and our money there."""

from collections.abc import Callable

import pytest
from anyio.from_thread import BlockingPortal

from tests.cli.conftest import Installation, asked


@pytest.fixture
def ask(installation: Installation, portal: BlockingPortal) -> Callable[[str], list[str]]:
    return lambda query: [str(item) for item in asked(portal, installation.app_url, query)]


def test_caps_are_set_and_taken_away(installation: Installation, ask: Callable[[str], list[str]]) -> None:
    shell = installation.shell
    row = (
        "SELECT (open_max, spend_max_paise, balance_alert_paise, weight_percent)::text"
        " FROM providers WHERE kind <> 'sandbox'"
    )
    told = shell.succeed(
        *["provider", "set", "alpha", "--open-max", "40", "--spend-max", "500", "--balance-alert", "50.5"],
        *["--weight-percent", "90", "--sync-every", "60000"],
    )
    assert "spend_max_paise" in told
    assert ask(row) == ["(40,50000,5050,90)"]
    assert ask("SELECT sync_every_ms FROM providers WHERE kind <> 'sandbox'") == ["60000"]
    shell.succeed(*["provider", "set", "alpha", "--open-max", "0", "--spend-max", "none", "--balance-alert", "none"])
    assert ask(row) == ["(,,,90)"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("provider set alpha --spend-max 1.234", "spend-max must be rupees"),
        ("provider set alpha --balance-alert -5", "balance-alert must not be negative"),
        ("provider set alpha --weight-percent 0", "weight_percent must be between 1 and 1000"),
        ("provider set alpha --dialect klingon", "dialect must be one of"),
        ("provider top-up alpha 0 --note nothing", "amount must be more than zero"),
        ("provider top-up alpha 5 --note x", "note must be 3 to 200 characters"),
        ("provider top-up nobody 5 --note bank", "There is no such provider 'nobody'"),
        ("provider settle-gap alpha --note accepted", "There is no such gap"),
        ("provider health nobody", "There is no such provider 'nobody'"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(installation: Installation, command: str, said: str) -> None:
    assert said in installation.shell.run(*command.split()).sentence


def test_how_providers_do_and_what_is_wrong_is_shown(
    installation: Installation, portal: BlockingPortal, ask: Callable[[str], list[str]]
) -> None:
    shell = installation.shell
    assert "Nothing is wrong with providers." in shell.succeed("provider", "alerts")
    assert "alpha" in shell.succeed("provider", "health")
    asked(
        portal,
        installation.app_url,
        "INSERT INTO provider_alerts (provider_id, kind, detail) SELECT id, 'balance', 'Too [little].'"
        " FROM providers WHERE kind <> 'sandbox'",
    )
    asked(
        portal,
        installation.app_url,
        "INSERT INTO provider_money (provider_id, balance_paise, balance_at, minutes_left)"
        " SELECT id, 12345, now(), 125 FROM providers WHERE kind <> 'sandbox'",
    )
    shown = shell.succeed("provider", "health", "alpha")
    assert all(part in shown for part in ("123.45", "2 h 5 min", "balance"))
    assert "alpha, balance: Too [little]." in shell.succeed("provider", "alerts")
    asked(portal, installation.app_url, "UPDATE provider_alerts SET closed_at = now()")
    assert "Nothing is wrong" in shell.succeed("provider", "alerts")
    assert "over at" in shell.succeed("provider", "alerts", "--all")


def test_a_top_up_is_written_with_who_said_so(installation: Installation, ask: Callable[[str], list[str]]) -> None:
    told = installation.shell.succeed("provider", "top-up", "alpha", "5000", "--note", "by bank")
    assert "5000.00 rupees" in told
    assert ask("SELECT kind || amount_paise || note FROM provider_top_ups") == ["top_up500000by bank"]
    assert ask("SELECT actor_kind || action FROM audit_log WHERE action LIKE 'provider%' ORDER BY id DESC LIMIT 1") == [
        "shellprovider_top_up"
    ]


def test_what_is_changed_is_audited_before_and_after(
    installation: Installation, ask: Callable[[str], list[str]]
) -> None:
    installation.shell.succeed("provider", "set", "alpha", "--open-max", "7", "--off")
    installation.shell.succeed("provider", "hook", "alpha", "--renew")
    assert ask("SELECT action || coalesce(details ->> 'open_max', '') FROM audit_log WHERE action LIKE 'provider%'"
               " ORDER BY id DESC LIMIT 2") == ["provider_hook_renewed", "provider_changedNone -> 7"]  # fmt: skip


def test_a_breaker_is_held_and_given_back(installation: Installation, ask: Callable[[str], list[str]]) -> None:
    shell = installation.shell
    assert "open" in shell.succeed("provider", "breaker", "alpha", "open", "--reason", "they are down")
    assert "open (held)" in shell.succeed("provider", "health")
    assert ask("SELECT forced || forced_reason FROM provider_health") == ["openthey are down"]
    shell.succeed("provider", "breaker", "alpha", "auto", "--reason", "they are back")
    assert "(held)" not in shell.succeed("provider", "health")
    wrong = shell.run("provider", "breaker", "alpha", "ajar", "--reason", "why not").sentence
    assert "state must be open, closed or auto" in wrong
    assert len(ask("SELECT id FROM audit_log WHERE action = 'provider_breaker'")) == 2


def test_what_was_said_is_shown_as_it_is(
    installation: Installation, portal: BlockingPortal, ask: Callable[[str], list[str]]
) -> None:
    shell = installation.shell
    assert "Nothing was kept." in shell.succeed("provider", "transcripts", "alpha", "--subject", "55-1")
    asked(
        portal,
        installation.app_url,
        "INSERT INTO transcripts (provider_id, action, subject, asked, status, answer, took_ms, at)"
        " SELECT id, 'rent', '55-1', 'GET /x', NULL, '[red]OK[/]', 12, now() FROM providers WHERE kind <> 'sandbox'",
    )
    told = shell.succeed("provider", "transcripts", "alpha", "--subject", "55-1")
    assert all(part in told for part in ("rent 55-1  no answer, 12 ms", "> GET /x", "< [red]OK[/]"))
