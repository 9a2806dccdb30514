"""What `deploy/` gives to Prometheus, read by Prometheus' own `promtool`; left out where it is not installed."""

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
from tests.architecture.sources import ROOT
from tests.http import stand as stands
from tests.http.stand import Client
from tests.http.test_deploy import TOKEN, expressions, rules

PROMTOOL = shutil.which("promtool")
pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")

MINUTES = 60
"""How long each series lasts: every alert has fired by then, if it does."""
NO = "_"
LABEL = re.compile(r'\w+="(?:[^"\\]|\\.)*"')
QUIET = {
    'loop_lag_seconds{kind="web"}': "0x60", 'loop_lag_seconds{kind="worker"}': "0x60", "reports_age_seconds": "60x60",
}  # fmt: skip
"""What hangs on how busy the machine of the tests is, and on how long ago the service began."""
FIRES: dict[str, dict[str, str]] = {
    "NumberdeskUnreachable": {"build_info": NO},
    "DatabaseUnreachable": {"database_up": "0x60"},
    "NoWorker": {'processes{kind="worker"}': "0x60"},
    "WorkOverdue": {"work_overdue_seconds": "121x60"},
    "RequestsFail": {'requests_total{method="GET",route="/x",status="503"}': "0+60x60"},
    "RequestsSlow": {
        'request_seconds_bucket{method="GET",route="/orders",le="1.0"}': "0x60",
        'request_seconds_bucket{method="GET",route="/orders",le="2.5"}': "0+600x60",
        'request_seconds_bucket{method="GET",route="/orders",le="+Inf"}': "0+600x60",
    },
    "LoopLags": {'loop_lag_seconds{kind="web"}': "0.6x60"},
    "PoolExhausted": {"database_no_connection_total": "0+1x60"},
    "DatabaseConnectionsHigh": {"database_connections": "90x60", "database_connections_max": "100x60"},
    "ClocksDiffer": {"clock_skew_seconds": "3x60"},
    "PassesFail": {'passes_failed_total{step="x"}': "0+1x60"},
    "LogLinesDropped": {"log_dropped_total": "0+1x60"},
    "LedgerWrong": {'ledger_wrong{scope="whole",invariant="I1",check="c"}': "1x60"},
    "LedgerNotChecked": {'ledger_age_seconds{scope="recent"}': "1000x60"},
    "AuditLogBroken": {"audit_breaks": "1x60"},
    "AuditLogNotChecked": {"audit_age_seconds": "91000x60"},
    "ClaimsWait": {'payments_waiting_oldest_seconds{what="claimed"}': "3700x60"},
    "PaymentsUndecided": {'payments_waiting_oldest_seconds{what="suspense"}': "90000x60"},
    "ReconciliationDiffers": {'reconciliation_differences{source="bank"}': "1x60"},
    "ReconciliationOverdue": {'reconciliation_age_seconds{source="bank"}': "200000x60"},
    "GatewayWebhooksLate": {'queue_overdue_seconds{queue="gateway_webhooks"}': "400x60"},
    "RatesOld": {'rate_age_seconds{asset="TRX"}': "2000x60"},
    "OrdersInDoubt": {'orders_open_oldest_seconds{state="unknown"}': "400x60"},
    "OrdersDoNotEnd": {'orders_open_oldest_seconds{state="expiring"}': "8000x60"},
    "FewCodesArrive": {'delivery_settled{provider="p"}': "100x60", 'delivery_delivered{provider="p"}': "20x60"},
    "NoServerSells": {'provider_shut{provider="alpha"}': "1x60"},
    "ProviderShut": {'provider_shut{provider="alpha"}': "1x60"},
    "ProviderMoneyLow": {'provider_alert{provider="alpha",kind="balance"}': "1x60"},
    "ProviderMoneyUnexplained": {'provider_alert{provider="alpha",kind="money_gap"}': "1x60"},
    "ProviderStrange": {'provider_alert{provider="alpha",kind="price_drift"}': "1x60"},
    "ProviderCatalogueOld": {'provider_catalogue_age_seconds{provider="alpha"}': "15000x60"},
    "NoticesLate": {'outbox_overdue_seconds{channel="email"}': "400x60"},
    "NoticesGivenUp": {'outbox_failed{channel="email"}': "6x60"},
    "WebhooksLate": {'queue_overdue_seconds{queue="customer_webhooks"}': "200x60"},
    "ProviderMessagesLate": {'queue_overdue_seconds{queue="provider_messages"}': "100x60"},
    "DecisionsWait": {'decisions_waiting_oldest_seconds{what="quarantine"}': "44000x60"},
    "TicketsWait": {'tickets_oldest_seconds{state="open"}': "180000x60"},
    "ReportsLate": {"reports_age_seconds": "4000x60"},
}
"""Alert -> what is different from a quiet service; a series that is not there is `_`."""
NOTHING: dict[str, dict[str, str]] = {"nothing": {}}
WITH_OTHERS = {"NoServerSells": {"ProviderShut"}, "ProviderShut": {"NoServerSells"}}
"""What fires together, since one is the cause of the other."""


@pytest.fixture(scope="module")
def page(portal: BlockingPortal, cluster: Cluster) -> Iterator[str]:
    """The metrics of a running server."""
    with stands.opened(portal, cluster, metrics_token=TOKEN) as stand:
        yield Client(stand.port, token=TOKEN).get("/metrics").body.decode()


def promtool(*words: str | Path, stdin: str = "") -> str:
    """Run promtool, which must find nothing wrong; returns what it says."""
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *map(str, words)], input=stdin, capture_output=True, text=True, timeout=120)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    return told


def test_rules_and_configuration_are_what_prometheus_reads(tmp_path: Path) -> None:
    assert f"SUCCESS: {len(rules())} rules found" in promtool("check", "rules", ROOT / "deploy" / "alerts.yml")
    shutil.copy(ROOT / "deploy" / "alerts.yml", tmp_path)
    text = (ROOT / "deploy" / "prometheus.yml").read_text(encoding="utf-8")
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/numberdesk-token", str(tmp_path / "token")))
    assert "is valid prometheus config file" in promtool("check", "config", tmp_path / "prometheus.yml")


def test_every_query_of_the_dashboard_is_one(tmp_path: Path) -> None:
    queries = [text.replace("$__rate_interval", "1m") for text in expressions()]
    recorded = [{"record": f"query:{number}", "expr": text} for number, text in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert f"SUCCESS: {len(queries)} rules found" in promtool("check", "rules", tmp_path / "queries.yml")


def test_the_page_is_well_formed_and_named_as_is_usual(page: str) -> None:
    promtool("check", "metrics", stdin=page)


def _series(page: str, changes: dict[str, str]) -> list[dict[str, str]]:
    """Return the page's series as they stand for an hour, with some of them changed."""
    found = {}
    for line in page.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[_sorted(name.removeprefix("numberdesk_"))] = f"{value}x{MINUTES}"
    for name, values in changes.items():
        if values == NO:
            found = {known: kept for known, kept in found.items() if known.partition("{")[0] != name}
        else:
            found[_sorted(name)] = values
    return [{"series": f"numberdesk_{name}", "values": values} for name, values in found.items()]


def _sorted(name: str) -> str:
    """Return a series with its labels in one order."""
    family, brace, labels = name.partition("{")
    return family + (brace and "{" + ",".join(sorted(LABEL.findall(labels))) + "}")


def test_each_alert_fires_when_its_time_has_come_and_none_in_a_quiet_service(page: str, tmp_path: Path) -> None:
    assert FIRES.keys() == {rule["alert"] for rule in rules()}
    tests: list[dict[str, Any]] = []
    for name, changes in (NOTHING | FIRES).items():
        wanted = {name} | WITH_OTHERS.get(name, set()) if changes else set()
        found = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(wanted)]
        query = 'group by (alertname) (ALERTS{alertstate="firing"})'
        test = {"expr": query, "eval_time": f"{MINUTES}m", "exp_samples": found}
        tests.append({"interval": "1m", "input_series": _series(page, QUIET | changes), "promql_expr_test": [test]})
    shutil.copy(ROOT / "deploy" / "alerts.yml", tmp_path)
    (tmp_path / "tests.yml").write_text(yaml.safe_dump({"rule_files": ["alerts.yml"], "tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "tests.yml")
