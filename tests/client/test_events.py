"""The client's ways to hear of events, and the command that shows them."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from numberdesk.settings import child_environment
from tests.cli.shell import FIXED
from tests.client.test_client import cutting
from tests.http.stand import HOST, Client, Stand

Opens = Callable[..., Any]


def test_events_are_polled_from_where_one_was(stand: Stand, desk: Any) -> None:
    order = desk.get_number("tg", "IN")
    first = desk.events()
    assert [event.type for event in first.items] == ["order.active"]
    stand.deliver(order.order_id, "48213")
    later = desk.events(after=first.next_cursor, wait=10)
    assert [(event.id, event.data.message.code) for event in later.items] == [(f"evt_{order.order_id}_code_1", "48213")]
    assert desk.check(order.order_id).messages[0].event_id == later.items[0].id
    unknown = desk.events(after="evt_987654321_code_1")
    assert (first.reset, later.reset, unknown.reset) == (False, False, True)
    assert unknown.items == first.items + later.items


def test_a_stream_that_is_cut_goes_on_without_a_gap_and_without_a_repeat(
    stand: Stand, alice: Client, desk: Any, opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numberdesk.client._calls.PAUSES", (0.05, 0.05, 0.05))
    before = desk.get_number("tg", "IN")
    with cutting(stand.port, 2) as port:
        events = opens(f"http://{HOST}:{port}", alice.key).stream(after="evt_0")
        assert next(events).id == f"evt_{before.order_id}_active_1"
        stand.deliver(before.order_id, "12345")
        assert next(events).data.message.code == "12345"
        after = desk.get_number("tg", "IN")
        assert next(events).id == f"evt_{after.order_id}_active_1"
        events.close()


def test_a_stream_that_is_refused_says_why(stand: Stand, opens: Opens) -> None:
    with pytest.raises(Exception, match="API key"):
        next(opens(f"http://{HOST}:{stand.port}", "nd_live_wrong").stream())


def test_the_command_shows_what_happens(stand: Stand, alice: Client) -> None:
    order_id = stand.received(alice, "97531")
    url = f"http://{HOST}:{stand.port}"
    with subprocess.Popen(
        [sys.executable, "-m", "numberdesk", "orders", "watch", "--url", url, "--after", "evt_0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=child_environment(**FIXED, NUMBERDESK_API_KEY=alice.key or ""),
    ) as watching:  # fmt: skip
        assert watching.stdout is not None
        reaper = threading.Timer(30, os.kill, (watching.pid, signal.SIGKILL))
        reaper.start()
        lines = [watching.stdout.readline() for _ in range(3)]
        watching.send_signal(signal.SIGINT)
        rest = watching.stdout.read()
        reaper.cancel()
    assert f"order {order_id}" in lines[1], lines
    assert "code 97531" in lines[2], lines
    assert f"evt_{order_id}_code_1" in lines[2], lines
    assert "Traceback" not in rest
    assert (alice.key or "?") not in "".join(lines)


def test_the_command_says_that_a_key_is_wrong(stand: Stand) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "numberdesk", "orders", "watch", "--url", f"http://{HOST}:{stand.port}"],
        capture_output=True, text=True, timeout=30, check=False,
        env=child_environment(**FIXED, NUMBERDESK_API_KEY="nd_live_wrong"),
    )  # fmt: skip
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert ended.stderr.startswith("numberdesk: ")


def test_the_command_says_that_an_address_is_none() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "numberdesk", "orders", "watch", "--url", "desk.example"],
        capture_output=True, text=True, timeout=30, check=False,
        env=child_environment(**FIXED, NUMBERDESK_API_KEY="nd_live_wrong"),
    )  # fmt: skip
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "must begin with http://" in ended.stderr
