"""Reports to others: what leaves has no secret in it, and a setting without its package is told at the start."""

import importlib.util
from typing import Any

import pytest

from numberdesk.base import log, telemetry
from numberdesk.cli._place import opened
from numberdesk.settings import BadSettings

pytestmark = pytest.mark.anyio


def test_what_leaves_is_clean_however_deep() -> None:
    event = {
        "release": "numberdesk@0.5.0",
        "tags": {"request_id": "9f0c12345678901234567890", "account_id": "7"},
        "exception": {"values": [{"value": "no way to asha@example.com, api_key=K3y"}]},
        "contexts": {"line": {"password": "p", "token": ["t"], "phone": "919876543210", "status": 500}},
        "extra": [{"url": "https://x.example/bot12:AAA-b/send"}, None, 5],
    }
    assert telemetry.scrubbed(event) == {
        "release": "numberdesk@0.5.0",
        "tags": {"request_id": "9f0c12345678901234567890", "account_id": "7"},
        "exception": {"values": [{"value": "no way to a***@example.com, api_key=[hidden]"}]},
        "contexts": {"line": {"password": "[hidden]", "token": "[hidden]", "phone": "***10", "status": 500}},
        "extra": [{"url": "https://x.example/bot[hidden]/send"}, None, 5],
    }


@pytest.mark.parametrize(
    ("setting", "value", "extra"),
    [
        ("sentry_dsn", "https://key@errors.example/1", "sentry"),
        ("otel_exporter_otlp_endpoint", "http://127.0.0.1:4318", "otel"),
    ],
)
async def test_a_setting_whose_package_is_missing_stops_the_start_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, extra: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(log, "configure", lambda **_options: None)
    wanted: dict[str, Any] = {setting: value, "database_url": "postgresql://nowhere.invalid/x"}
    with pytest.raises(BadSettings, match=rf"{setting.upper()}: .* install numberdesk\[{extra}\]"):
        async with opened(None, is_service=True, **wanted):
            pass


def test_without_the_setting_an_application_stays_as_it_is() -> None:
    app = object()
    assert telemetry.traced(app) is app


def test_errors_are_told_to_reporters_with_their_exception_and_a_bad_reporter_harms_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[dict[str, Any], BaseException | None]] = []

    def fail(_line: dict[str, Any], _problem: BaseException | None) -> None:
        raise OSError

    monkeypatch.setattr(log, "_reporters", [fail, lambda line, problem: told.append((line, problem))])
    problem = ValueError("x")
    event = {"event": "request_crashed", "request_id": "r", "exc_info": problem}
    assert log.report(None, "error", event) is event
    log.report(None, "warning", {"event": "not an error"})
    assert told == [({"event": "request_crashed", "request_id": "r"}, problem)]
