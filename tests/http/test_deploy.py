"""What `deploy/` and the documents name is there: metrics with their labels, alerts with their headings, commands."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from numberdesk.monitoring.service._exposition import FACTS
from tests.architecture.sources import ROOT
from tests.architecture.test_documents import unknown_commands
from tests.http import stand as stands
from tests.http.stand import Client
from tests.notifications.certificates import tls_contexts

TOKEN = "scrapes-with-this-token"
NAME = re.compile(r"\bnumberdesk_[a-z0-9_]+\b")
SELECTED = re.compile(r"\b(numberdesk_[a-z0-9_]+)\{([^}]*)\}")
LABELS = {
    "requests_total": {"method", "route", "status"}, "request_seconds": {"method", "route"},
    "errors_total": {"category", "code"}, "provider_calls_total": {"provider", "action", "outcome"},
    "provider_call_seconds": {"provider", "action"}, "passes_failed_total": {"step"},
}  # fmt: skip
"""Of counters; those of gauges are in the code."""


@pytest.fixture(scope="module")
def page(portal: BlockingPortal, cluster: Cluster) -> Iterator[str]:
    """The metrics of a running server."""
    with stands.opened(portal, cluster, metrics_token=TOKEN) as stand:
        answer = Client(stand.port, token=TOKEN).get("/metrics")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        yield answer.body.decode()


@pytest.fixture(scope="module")
def known(page: str) -> dict[str, str]:
    """Every name that may be asked for, with its family's type."""
    found: dict[str, str] = {}
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page, re.M):
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        found |= {name + suffix: kind for suffix in suffixes}
    assert len(found) > 50
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    board = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(shown) > 40
    return shown + [rule["expr"] for rule in rules()]


def test_every_metric_that_is_asked_for_is_exposed(known: dict[str, str]) -> None:
    unknown = [(name, text) for text in expressions() for name in NAME.findall(text) if name not in known]
    assert not unknown
    documents = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("runbook.md", "monitoring.md")]
    families = known.keys() | {name.removesuffix("_count") for name in known}
    assert not [name for text in documents for name in NAME.findall(text) if name not in families]


def test_counters_are_asked_for_their_rate_and_gauges_for_their_value(known: dict[str, str]) -> None:
    for text in expressions():
        for name in NAME.findall(text):
            is_rate = re.search(rf"(rate|increase)\({name}(\{{[^}}]*\}})?\[", text) is not None
            assert is_rate is (known[name] in ("counter", "histogram")), text
        assert text.count("(") == text.count(")"), text


def test_only_labels_that_a_metric_has_are_selected(page: str) -> None:
    gauges = {name: set(fact.labels) for fact in FACTS for name, _ in fact.gauges}
    for name, labels in re.findall(r"^numberdesk_(\w+)\{(.*)\} ", page, re.M):
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        if family in gauges | LABELS:
            assert set(re.findall(r'(\w+)="', labels)) - {"le"} == (gauges | LABELS)[family]
    for text in expressions():
        for name, selected in SELECTED.findall(text):
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            wanted = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selected))
            assert wanted <= (gauges | LABELS)[family.removeprefix("numberdesk_")], (text, name)


def test_every_alert_has_its_heading_and_every_heading_its_alert() -> None:
    names = [rule["alert"] for rule in rules()]
    book = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").partition("\n## Alerts\n")[2]
    assert re.findall(r"^### (\S+)$", book, re.M) == names
    assert len(set(names)) == len(names) > 20
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"].endswith(".")


def test_the_document_lists_exactly_what_is_exposed(page: str) -> None:
    exposed = set(re.findall(r"^# TYPE numberdesk_(\S+) ", page, re.M))
    text = (
        (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8").partition("## Metrics")[2].partition("\n## ")[0]
    )
    listed = {
        name
        for line in text.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert listed == exposed


def test_all_is_said_once_and_well_formed(page: str) -> None:
    series = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    assert len(set(series)) == len(series)
    heads = re.findall(r"^# TYPE (\S+)", page, re.M)
    assert len(set(heads)) == len(heads)
    assert re.findall(r"^# HELP (\S+) \S", page, re.M) == heads


def test_the_units_start_what_there_is() -> None:
    for path in sorted((ROOT / "deploy").glob("*.service")):
        (command,) = re.findall(r"^ExecStart=/opt/numberdesk/.venv/bin/(.*)$", path.read_text(encoding="utf-8"), re.M)
        assert unknown_commands(f"`{command}`") == []


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed")
def test_caddy_understands_its_file() -> None:
    command = ["caddy", "adapt", "--adapter", "caddyfile", "--config", str(ROOT / "deploy" / "Caddyfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '"regexp"' in done.stdout


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_understands_its_file(tmp_path: Path) -> None:
    tls_contexts(tmp_path)
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    names = {
        "/etc/ssl/desk.example/fullchain.pem": "mailbox.pem", "/etc/ssl/desk.example/privkey.pem": "mailbox.pem",
        "/var/log/nginx/numberdesk.log": "access.log",
    }  # fmt: skip
    changes = {there: str(tmp_path / here) for there, here in names.items()}
    # Ports that need no rights; that one is taken is no matter here.
    changes |= {"listen 443": "listen 127.0.0.1:34443", "listen 80": "listen 127.0.0.1:34080"}
    for there, here in changes.items():
        assert there in text
        text = text.replace(there, here)
    own = f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}"
    (tmp_path / "nginx.conf").write_text(f"{own} http {{ {text} }}", encoding="utf-8")
    command = ["nginx", "-t", "-q", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
