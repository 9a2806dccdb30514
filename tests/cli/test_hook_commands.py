"""`provider hook` and `provider strays`: the address for a provider's messages, and those without an order."""

import re

from anyio.from_thread import BlockingPortal

from tests.cli.conftest import Installation, asked


def test_the_address_stays_until_it_is_renewed(installation: Installation) -> None:
    shell = installation.shell
    path, told = shell.succeed("provider", "hook", "alpha").splitlines()
    assert re.fullmatch(r"/webhooks/provider/alpha/[A-Za-z0-9_-]{32}", path)
    assert "PUBLIC_BASE_URL" in told
    whole = shell.succeed("provider", "hook", "alpha", PUBLIC_BASE_URL="https://numbers.example.com")
    assert whole.splitlines() == [path, f"https://numbers.example.com{path}"]
    assert shell.succeed("provider", "hook", "alpha", "--renew").splitlines()[0] != path
    assert "There is no such provider 'nobody'" in shell.run("provider", "hook", "nobody").sentence


def test_messages_without_an_order_are_shown_as_they_are(installation: Installation, portal: BlockingPortal) -> None:
    shell = installation.shell
    assert "every message has its order" in shell.succeed("provider", "strays", "alpha")
    asked(
        portal,
        installation.app_url,
        "INSERT INTO inbound_messages (provider_id, event_id, number, sender, code, text, state, settled_at)"
        " SELECT id, 'one', '919812345678', '22000', '48213', '[red]48213[/]', 'unowned', now()"
        " FROM providers WHERE kind <> 'sandbox'",
    )
    shown = shell.succeed("provider", "strays", "alpha")
    assert "[red]48213[/]" in shown
    assert "unowned" in shown
    assert "There is no such provider 'nobody'" in shell.run("provider", "strays", "nobody").sentence


def test_what_an_agent_gets_is_set_and_taken_back(installation: Installation, portal: BlockingPortal) -> None:
    shell, query = installation.shell, "SELECT coalesce(agent_pay_paise, 0) FROM providers WHERE kind <> 'sandbox'"
    shell.succeed("provider", "set", "alpha", "--agent-pay", "12.5")
    assert asked(portal, installation.app_url, query) == [1250]
    shell.succeed("provider", "set", "alpha", "--agent-pay", "none")
    assert asked(portal, installation.app_url, query) == [0]
    assert "agent-pay must be rupees" in shell.run("provider", "set", "alpha", "--agent-pay", "x").sentence
