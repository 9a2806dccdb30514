"""What the staff's chat is told of money that comes in, in the transaction in which it does."""

from collections.abc import Mapping, Sequence

from numberdesk.accounts.model import Recipient, StaffNews
from numberdesk.base.db import Tx
from numberdesk.base.money import Paise, format_rupees
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import StaffEvent, Value
from numberdesk.payments.model import Subject
from numberdesk.payments.service._till import Till
from numberdesk.wallet.model import AccountId


def credited(cause: str, person: Recipient, amount: Paise, method: str, receipt: str, note: str) -> StaffEvent:
    """Return that a payment is in a wallet."""
    facts: Mapping[str, Value] = {
        "Amount": f"{format_rupees(amount)} rupees", "Method": method, "Receipt": receipt, "Account": person.id,
        "Customer": notifications.masked_email(person.email), "Note": note or None,
    }  # fmt: skip
    return StaffEvent("recharge", "Recharge credited", facts, f"credited:{cause}")


def refunded(refund_id: int, person: Recipient, amount: Paise, method: str, receipt: str) -> StaffEvent:
    """Return that a payment went back to who paid it."""
    facts: Mapping[str, Value] = {
        "Amount": f"{format_rupees(amount)} rupees", "Method": method, "Refund note": receipt, "Account": person.id,
        "Customer": notifications.masked_email(person.email),
    }  # fmt: skip
    return StaffEvent("recharge", "Recharge refunded", facts, f"refunded:{refund_id}")


def claimed(ref: str, rrn: str, amount: Paise, account_id: int) -> StaffEvent:
    """Return that a customer says to have paid, which a statement or a person must prove."""
    facts: Mapping[str, Value] = {
        "Transaction": ref, "Amount": f"{format_rupees(amount)} rupees", "UTR": f"…{rrn[-4:]}", "Account": account_id,
    }  # fmt: skip
    return StaffEvent("recharge", "Recharge waits for review", facts, f"claimed:{ref}:{rrn}")


def suspended(payment_id: int, amount: Paise, rail: str, why: str | None) -> StaffEvent:
    """Return that money came in whose owner a person must find."""
    facts: Mapping[str, Value] = {
        "Payment": payment_id, "Amount": f"{format_rupees(amount)} rupees", "Rail": rail,
        "Why": None if why is None else why.replace("_", " "),
    }  # fmt: skip
    return StaffEvent("recharge", "Payment in suspense", facts, f"suspense:{payment_id}")


def approved_once(
    subject: Subject, subject_id: int, version: int, account_id: AccountId, amount: Paise, *, by: AccountId
) -> StaffNews:
    """Return that one person approved a payment that needs two."""
    return StaffNews(
        "An approval waits for a second person",
        {
            "Payment": subject_id if subject == "payment" else None,
            "Amount": f"{format_rupees(amount)} rupees", "Account": account_id,
            "Approved by": f"staff {by}",
        },
        "/admin/review", ("finance", "owner"), f"approval:{subject}:{subject_id}:{version}:{by}",
        but_not=frozenset({by, account_id}),
    )  # fmt: skip


async def tell(till: Till, tx: Tx, events: Sequence[StaffEvent]) -> None:
    """Write events down."""
    await notifications.tell(tx, till.vault, events)
