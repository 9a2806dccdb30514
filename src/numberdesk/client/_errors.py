"""What can go wrong, as the caller sees it. No error holds the key."""

from typing import Any


class ApiError(Exception):
    """The server refused. `code` is the word to decide by; `details` may name fields, times and amounts.

    `idempotency_key` is what a purchase was sent with: with `key_in_flight` it is still on its way.
    """

    def __init__(self, status: int, sentence: str, details: dict[str, Any], idempotency_key: str | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.details = details
        self.idempotency_key = idempotency_key

    @property
    def code(self) -> str:
        """A word such as `no_numbers` or `insufficient_balance`; empty when something else than Numberdesk answered."""
        return str(self.details.get("code", ""))

    @property
    def request_id(self) -> str:
        """What the server's staff can find the request by."""
        return str(self.details.get("requestId", ""))


class Unreachable(Exception):
    """No answer came, also not to repeats. A purchase may have been made: repeated with this `idempotency_key` it is
    the same one, and without it another.
    """

    def __init__(self, sentence: str, idempotency_key: str | None = None) -> None:
        super().__init__(sentence)
        self.idempotency_key = idempotency_key


class NoCode(Exception):
    """The order ended without a code, or none came in the time given; `order` says which."""

    def __init__(self, order: Any) -> None:
        super().__init__(f"no code for order {order.order_id}: it is {order.status}")
        self.order = order
