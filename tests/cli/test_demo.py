"""The demonstration from its first start on an empty folder to its second: what a newcomer sees, copies and keeps."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from anyio.from_thread import BlockingPortal
from email_validator import validate_email

from tests.cli.shell import Forge, Service, Shell, mode_of

PANEL = r"Ctrl-C stops everything\."
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the three lines to copy are for curl")


@dataclass(frozen=True)
class Demo:
    """A running demonstration."""

    shell: Shell
    home: Path
    credentials: Path
    service: Service

    @property
    def said(self) -> str:
        return self.service.said

    @property
    def kept(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.credentials.read_text())
        return found

    def copy(self, line: str) -> Any:
        """Paste a line into a shell, as a reader does, and read the answer."""
        done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=40, check=True)
        return json.loads(done.stdout)

    def lines(self) -> list[str]:
        """The lines to copy."""
        return [line for line in self.said.splitlines() if line.startswith("curl ")]


@pytest.fixture(scope="module")
def shell(forge: Forge, run_folder: Path) -> Shell:
    folder = run_folder / f"demo-{os.getpid()}"
    folder.mkdir()
    return Shell(forge, folder)


@pytest.fixture(scope="module")
def demo(shell: Shell) -> Iterator[Demo]:
    """The first start, with `--no-traffic`: nobody but the tests buys."""
    home, credentials = shell.folder / "home", shell.folder / "given" / "credentials.json"
    words = ("demo", "--home", str(home), "--port", "0", "--no-traffic", "--credentials", str(credentials))
    with shell.started(*words) as service:
        service.says(PANEL)
        yield Demo(shell, home, credentials, service)


def test_the_panel_shows_where_it_is_and_the_key(demo: Demo) -> None:
    (panel,) = re.findall(r"╭─+ Numberdesk demo ─+╮\n(.*?)\n╰", demo.said, re.S)
    shown = [line.strip("│ ") for line in panel.splitlines()]
    url, customer, staff = demo.kept["url"], demo.kept["customer"], demo.kept["admin"]
    assert shown == [
        f"API      {url}",
        f"Page     {url}/docs",
        f"API key  {customer['api_key']}",
        f"Test key {customer['test_api_key']}",
        f"Customer {customer['email']}  {customer['password']}",
        f"Staff    {staff['email']}: see credentials.json in the home folder",
    ]


def test_clients_take_its_addresses_for_addresses(demo: Demo) -> None:
    for person in ("customer", "admin"):
        validate_email(demo.kept[person]["email"], check_deliverability=False)  # as PyFiveSim does with a profile


def test_the_seconds_to_the_first_request_are_told(demo: Demo) -> None:
    told = re.search(r"The first request was answered (\d+\.\d) s after the start\.", demo.said)
    assert told is not None
    assert 0 < float(told[1]) < 60


@needs_curl
def test_the_three_lines_to_copy_work(demo: Demo) -> None:
    balance, buy, check = demo.lines()
    assert demo.copy(balance)["data"] == {"available": "1000.00", "held": "0.00", "currency": "INR"}
    bought = demo.copy(buy)["data"]
    assert (bought["service"], bought["country"], bought["status"]) == ("tg", 22, "active")
    assert check.count("ORDER_ID") == 1
    seen = demo.copy(check.replace("ORDER_ID", str(bought["orderId"])))["data"]
    assert seen["status"] == "received"
    assert seen["otp"] in seen["messages"][0]["text"]
    assert demo.copy(balance)["data"]["available"] == "978.70"


@needs_curl
def test_a_customer_can_begin_a_recharge_at_once(demo: Demo) -> None:
    key, url = demo.kept["customer"]["api_key"], demo.kept["url"]
    body = json.dumps({"method": "upi", "amount": "100"})
    kind = "Content-Type: application/json"
    begun = demo.copy(f"curl -s -H 'X-API-Key: {key}' -H '{kind}' -d '{body}' {url}/recharge/initiate")["data"]
    assert (begun["status"], begun["method"]) == ("pending", "upi")
    assert (begun["pay"]["payTo"], begun["pay"]["payeeName"]) == ("numberdesk.demo@okdemo", "Numberdesk Demo")
    listed = demo.shell.succeed("payment", "vpa", "list", "--home", str(demo.home))
    assert re.search(r"numberdesk\.demo@okdemo .* Numberdesk Demo .* personal .* yes", listed)


@needs_curl
def test_numbers_are_rented_for_hours_too_once_the_worker_has_read_for_how_much(demo: Demo) -> None:
    line = (
        f"curl -s -H 'X-API-Key: {demo.kept['customer']['api_key']}' '{demo.kept['url']}/services?service=tg&hours=24'"
    )
    until = time.monotonic() + 60
    # Until then nobody rents anything, which is a refusal.
    while len(found := demo.copy(line).get("data", {}).get("items", [])) < 12:
        assert time.monotonic() < until, found
        time.sleep(0.5)
    assert {offer["serverName"] for offer in found} == {"swift", "steady"}
    assert {offer["hours"] for offer in found} == {24}
    assert all(offer["stock"] for offer in found if offer["iso"] == "IN")


def test_the_credentials_file_holds_what_a_script_needs_for_its_owner_only(demo: Demo) -> None:
    for path in (demo.credentials, demo.home / "credentials.json"):
        assert mode_of(path) == 0o600
        kept = json.loads(path.read_text())
        assert kept.keys() == {"url", "customer", "admin", "simulator"}
        assert kept["customer"].keys() == {"email", "password", "api_key", "test_api_key"}
        assert kept["simulator"].keys() == {"url", "api_key"}
        assert kept == demo.kept
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", kept["url"])
    assert re.fullmatch(r"nd_live_\w{8}_\w{38}", kept["customer"]["api_key"])
    assert re.fullmatch(r"nd_test_\w{8}_\w{38}", kept["customer"]["test_api_key"])
    files = [path for path in demo.home.iterdir() if path.is_file()]
    assert {path.name for path in files} >= {"secrets.json", "demo.json", "credentials.json"}
    assert {path.name for path in files if mode_of(path) != 0o600} == set()


def test_nothing_but_the_key_of_the_customer_is_told(demo: Demo) -> None:
    secrets = set(json.loads((demo.home / "secrets.json").read_text()).values())
    secrets |= {demo.kept["simulator"]["api_key"], demo.kept["admin"]["password"], demo.kept["admin"]["totp_secret"]}
    for url in (demo.shell.succeed("db", "uri", "--home", str(demo.home), *owner) for owner in ([], ["--owner"])):
        secrets.add(url.partition("@")[0].rpartition(":")[2])
    assert len(secrets) == 8
    assert not [secret for secret in secrets if secret in demo.said]


def test_the_address_of_its_database_connects(demo: Demo, portal: BlockingPortal) -> None:
    async def user_of(url: str) -> Any:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return await connection.fetchval("SELECT current_user || ' ' || count(*) FROM accounts")
        finally:
            await connection.close()

    for words, user in (([], "numberdesk_web 8"), (["--owner"], "numberdesk_owner 8")):
        uri = demo.shell.succeed("db", "uri", "--home", str(demo.home), *words)
        assert uri.startswith("postgresql://")
        assert portal.call(user_of, uri.strip()) == user


def test_other_commands_work_beside_it(demo: Demo) -> None:
    home = str(demo.home)
    assert "checks hold" in demo.shell.succeed("ledger", "verify", NUMBERDESK_HOME=home)
    listed = demo.shell.succeed("provider", "list", "--home", home)
    assert "swift" in listed
    assert "steady" in listed
    assert "guest-1@demo.example" in demo.shell.succeed("credit", "guest-1@demo.example", "5", "--home", home)


def test_a_busy_port_is_told(demo: Demo) -> None:
    port = demo.kept["url"].rpartition(":")[2]
    done = demo.shell.run("demo", "--home", str(demo.home), "--port", port)
    sentence = f"Port {port} of 127.0.0.1 cannot be used (Address already in use): choose another with --port."
    assert (done.code, done.err) == (1, f"numberdesk: {sentence}\n")
    assert demo.service.popen.poll() is None


def test_a_second_start_keeps_the_key_and_the_data_and_does_the_main_job_once(demo: Demo) -> None:
    """It stops the first one, so it comes last."""
    before = demo.kept
    assert demo.service.stop() == 0
    assert demo.said.endswith("Stopping.\n")
    assert not (demo.home / "pg" / "data" / "postmaster.pid").exists()
    with demo.shell.started("demo", "--home", str(demo.home), "--port", "0") as again:
        again.says(PANEL)
        said = again.said
        assert before["customer"]["api_key"] in said
        after = json.loads((demo.home / "credentials.json").read_text())
        assert {**after, "url": "", "simulator": ""} == {**before, "url": "", "simulator": ""}
        assert after["simulator"]["api_key"] == before["simulator"]["api_key"]
        story = re.search(
            r"The main job, once: .*\n  rented   \+91\d{10}   21\.30 rupees held\n+  received (\d+)   “.*\1.*”\n"
            r"  paid     21\.30 rupees, \d+\.\d\d left\n  ledger   \d+ checks, all hold\n",
            said,
        )
        assert story is not None, said
        assert again.stop() == 0
    assert mode_of(demo.home / "credentials.json") == 0o600
