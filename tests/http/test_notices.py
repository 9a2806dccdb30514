"""Staff and notices that failed: they see what became of each, never what it says, and have it sent or let go."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.accounts.model import Role
from numberdesk.base.postgres import Cluster
from numberdesk.notifications.model import Notice
from tests.http import stand as stands
from tests.http.money_in import until
from tests.http.stand import Client, Stand
from tests.notifications.letters import SAMPLES
from tests.notifications.mailbox import Mailbox, mailbox
from tests.notifications.outbox import write


@pytest.fixture(scope="module")
def box(portal: BlockingPortal) -> Iterator[Mailbox]:
    with portal.wrap_async_context_manager(mailbox()) as box:
        yield box


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster, box: Mailbox) -> Iterator[Stand]:
    with stands.opened(portal, cluster, smtp_host="127.0.0.1", smtp_port=box.port, smtp_security="none") as stand:
        yield stand


@pytest.fixture(scope="module")
def ops(stand: Stand) -> Client:
    return hired(stand, "ops")


def hired(stand: Stand, role: Role) -> Client:
    """Return somebody of the staff, with a second factor."""
    client = stand.signed_in(f"{role}@staff.example.com", role=role).client
    stand.change("UPDATE sessions SET second_factor_at = now(), changed_at = clock_timestamp()")
    return client


def failed(stand: Stand, box: Mailbox, key: str, template: str = "recharge_credited") -> int:
    """Have a mail be refused for good, and return its id."""
    box.recipient_answer = "550 nobody here"
    notice = Notice(template, "gone@example.com", SAMPLES[template], key, None)  # type: ignore[arg-type,index]
    stand.portal.call(write, stand.site.db, stand.site.vault, notice)
    until(lambda: stand.ask("SELECT state FROM outbox WHERE dedupe_key = $1", key) == "failed")
    box.recipient_answer = None
    return int(stand.ask("SELECT id FROM outbox WHERE dedupe_key = $1", key))


def test_a_notice_that_failed_is_seen_and_sent_again(stand: Stand, ops: Client, box: Mailbox) -> None:
    notice_id = failed(stand, box, "one")
    answer = ops.get("/admin/notices")
    (item,) = answer.data["items"]
    assert (item["id"], item["state"], item["canRetry"]) == (notice_id, "failed", True)
    assert item["problem"] == "the server refused the recipient (550)"
    assert b"gone@example.com" not in answer.body
    assert b"R/25-26" not in answer.body
    again = ops.post(f"/admin/notices/{notice_id}/retry", {}).data
    assert (again["state"], again["attempts"], again["endedAt"]) == ("waiting", 0, None)
    mail = stand.portal.call(lambda: box.next(to="gone@example.com"))
    assert "R/25-26/000123" in str(mail["Subject"])
    until(lambda: notice_id in [item["id"] for item in ops.get("/admin/notices?state=sent").data["items"]])
    assert ops.post(f"/admin/notices/{notice_id}/retry", {}).refusal == (409, "notice_over")
    assert ops.post(f"/admin/notices/{notice_id}/drop", {}).refusal == (409, "notice_over")
    said = stand.ask("SELECT details::text FROM audit_log WHERE action = 'notice_retried'")
    assert "recharge_credited" in said
    assert "gone@example" not in said


def test_a_notice_is_dropped_with_what_it_says(stand: Stand, ops: Client, box: Mailbox) -> None:
    notice_id = failed(stand, box, "two")
    dropped = ops.post(f"/admin/notices/{notice_id}/drop", {}).data
    assert (dropped["state"], dropped["canRetry"]) == ("dropped", False)
    assert stand.ask("SELECT payload FROM outbox WHERE id = $1", notice_id) is None
    assert ops.post(f"/admin/notices/{notice_id}/retry", {}).refusal == (409, "notice_over")


def test_a_link_that_was_not_delivered_is_forgotten_at_once(stand: Stand, ops: Client, box: Mailbox) -> None:
    notice_id = failed(stand, box, "three", "reset_password")
    assert stand.ask("SELECT payload FROM outbox WHERE id = $1", notice_id) is None
    assert ops.post(f"/admin/notices/{notice_id}/retry", {}).refusal == (409, "notice_gone")


def test_the_list_is_read_in_pages_and_by_channel(stand: Stand, ops: Client) -> None:
    stand.change(
        "INSERT INTO outbox (channel, template, dedupe_key, payload, state, ended_at)"
        " SELECT 'telegram', 'staff_system', 'page:' || n, 'sealed', 'failed', now() FROM generate_series(1, 5) AS n"
    )
    seen: list[int] = []
    cursor = ""
    while True:
        page = ops.get(f"/admin/notices?channel=telegram&limit=2{cursor}").data
        seen += [item["id"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("query", ["state=lost", "channel=pigeon", "limit=0", "limit=201", "cursor=0"])
def test_a_bad_query_is_refused(ops: Client, query: str) -> None:
    assert ops.get(f"/admin/notices?{query}").refusal == (400, "invalid_request")


def test_a_notice_that_is_none_is_not_there(ops: Client) -> None:
    for action in ("retry", "drop"):
        assert ops.post(f"/admin/notices/999999/{action}", {}).refusal == (404, "not_found")


def test_support_may_not(stand: Stand) -> None:
    support = hired(stand, "support")
    assert support.get("/admin/notices").refusal == (403, "scope_too_small")
    assert support.post("/admin/notices/1/retry", {}).status == 403
