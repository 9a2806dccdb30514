"""A payment goes back to its payer when two people say so: sent once, whoever agrees, and however often."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from tests.http.money_in import Scene, available, opened
from tests.http.staff import Member, agree, events
from tests.http.test_gateway_refunds import paid, payment_of, refund, sent

NAME = "razorpay"


@pytest.fixture(scope="module")
def scene(portal: BlockingPortal, cluster: Cluster) -> Iterator[Scene]:
    with opened(portal, cluster, NAME, staff_two_person_amount=50, staff_daily_cap=500) as scene:
        yield scene


@pytest.fixture
def finance(scene: Scene) -> Member:
    return Member(scene.stand, "finance")


@pytest.fixture(autouse=True)
def _ledger_is_right(scene: Scene) -> Iterator[None]:
    scene.stand.change(
        "UPDATE money_requests SET asked_at = asked_at - interval '2 days', decided_at = decided_at - interval '2 days'"
    )
    yield
    scene.verify_ledger()


def test_a_large_refund_is_sent_when_another_person_agrees_and_once(scene: Scene, finance: Member) -> None:
    asha, owner, other = scene.customer(), Member(scene.stand, "owner"), Member(scene.stand, "finance", name="bela")
    ref, _ = paid(scene, asha, NAME)
    small = refund(finance, ref, "10").data
    assert (small["state"], sent(scene, ref)) == ("pending", [10_00])
    asked = refund(finance, ref, "60").data
    assert (asked["state"], asked["id"], sent(scene, ref)) == ("one_more_person", None, [10_00])
    assert available(asha) == "90.00"
    assert agree(finance, asked["requestId"]).refusal == (403, "another_person_needed")
    codes = {member.email: member.fresh() for member in (owner, other)}
    with ThreadPoolExecutor(2) as pool:
        answers = [
            future.result()
            for future in [
                pool.submit(
                    member.client.post, f"/admin/requests/{asked['requestId']}/agree", {"totp": codes[member.email]}
                )
                for member in (owner, other)
            ]
        ]
    assert sorted(answer.status for answer in answers) == [200, 409]
    assert sent(scene, ref) == [10_00, 60_00]
    assert available(asha) == "30.00"
    told = events(owner, asha, "payment_refund_begun")
    assert [(item["refunded_before"], item["refunded_after"]) for item in told] == [(1000, 7000), (0, 1000)]


def test_what_changed_since_it_was_asked_for_is_not_sent(scene: Scene, finance: Member) -> None:
    asha, owner = scene.customer(), Member(scene.stand, "owner")
    ref, _ = paid(scene, asha, NAME)
    asked = refund(finance, ref, "60").data
    payment = payment_of(finance, ref)
    scene.stand.change("UPDATE external_payments SET version = version + 1 WHERE id = $1", payment["id"])
    assert agree(owner, asked["requestId"]).refusal == (409, "changed_meanwhile")
    assert sent(scene, ref) == []
    waiting = owner.client.get("/admin/requests").data["items"]
    assert [item["requestId"] for item in waiting] == [asked["requestId"]], "what was refused is not decided"
    assert owner.client.post(f"/admin/requests/{asked['requestId']}/refuse", {"reason": "it changed"}).status == 200


def test_refunds_count_for_the_cap(scene: Scene, finance: Member) -> None:
    asha = scene.customer()
    ref, _ = paid(scene, asha, NAME)
    path = f"/admin/users/{asha.account_id}/credit"
    for number in range(9):
        body = {"amount": "50", "reason": "the cap", "totp": finance.fresh()}
        assert finance.client.post(path, body, Idempotency_Key=f"cap-{number}").status == 200
    assert refund(finance, ref, "50.01").refusal == (409, "daily_cap_reached")
    assert refund(finance, ref, "50").data["state"] == "pending"
    assert sent(scene, ref) == [50_00]
