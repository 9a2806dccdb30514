"""x."""
from tests.http.stand import Client, Stand
def test_a(stand: Stand, alice: Client) -> None:
    o = stand.received(alice)
    assert alice.get(f"/orders/{o}").data["order"]["status"] == "received"
    o = alice.buy()
    assert alice.post("/auth/cancel-number", {"orderId": o}).refusal == (409, "cancel_too_early")
    stand.ripen(o)
    print(alice.post("/auth/cancel-number", {"orderId": o}).data)
    print(alice.get("/user/balance"))
