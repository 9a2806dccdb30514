"""What the verbs of payments refuse, and what they say then."""

from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.errors import AppError
from numberdesk.base.money import Paise, format_rupees


@dataclass(eq=False)
class AmountOutOfBounds(AppError):
    """The amount is below the smallest or above the largest recharge."""

    minimum_paise: Paise
    maximum_paise: Paise

    code = "amount_out_of_bounds"

    def sentence(self) -> str:
        low, high = format_rupees(self.minimum_paise), format_rupees(self.maximum_paise)
        return f"amount must be between {low} and {high} rupees."

    def details(self) -> dict[str, object]:
        return AppError.details(self) | {"fields": {"amount": self.sentence().removeprefix("amount ").rstrip(".")}}


@dataclass(eq=False)
class MethodClosed(AppError):
    """A way to pay takes nothing at the moment; `reason` says why."""

    method: str
    reason: str

    status = 503
    code = "method_closed"
    category = "transaction"
    message = "Paying by {method} is closed at the moment: {reason}."
    retry_after = 60


@dataclass(eq=False)
class SandboxPaysNothing(AppError):
    """A sandbox has play money, which nobody pays for."""

    status = 403
    code = "not_in_sandbox"
    category = "transaction"
    message = "A test key cannot begin a recharge: its play money is filled up by itself. Use a live key to pay."


@dataclass(eq=False)
class TooManyOpen(AppError):
    """So many recharges by this method wait for their payment already."""

    open: int

    status = 409
    code = "too_many_open_recharges"
    category = "transaction"
    message = "{open} recharges by this method wait for their payment. Pay one of them, or wait until it expires."


@dataclass(eq=False)
class AmountsTaken(AppError):
    """Every amount near this one is waited for already, so a payment could not be told from another's."""

    status = 503
    code = "amounts_taken"
    category = "transaction"
    message = "Too many customers pay this amount just now. Choose another amount, or try again in a few minutes."
    retry_after = 120


@dataclass(eq=False)
class UtrAlreadyUsed(AppError):
    """This UTR was credited before: to whom is not said."""

    status = 409
    code = "utr_already_used"
    category = "transaction"
    message = "This UTR was used before. Check the number; if it is yours, ask the support."


@dataclass(eq=False)
class ClaimsLocked(AppError):
    """An account claimed used UTRs too often."""

    status = 403
    code = "claims_locked"
    category = "transaction"
    message = (
        "Too many UTRs that were used before. Claims are closed for a day; a payment that we see is still credited."
    )


@dataclass(eq=False)
class WrongMethod(AppError):
    """The recharge is to be paid in another way."""

    method: str

    status = 409
    code = "wrong_method"
    category = "transaction"
    message = "This recharge is paid by {method}."


@dataclass(eq=False)
class RechargeOver(AppError):
    """The recharge is not open any more, so its page is not shown again."""

    payment_status: str

    status = 409
    code = "recharge_over"
    category = "transaction"
    message = "This recharge is {payment_status}. Begin a new one."


@dataclass(eq=False)
class GatewayUnavailable(AppError):
    """The gateway cannot make a page just now; the recharge is failed, and nothing was paid."""

    transaction_id: str

    status = 503
    code = "gateway_unavailable"
    category = "provider"
    message = "The payment page cannot be made at the moment. Nothing was paid; try again."
    retry_after = 10


@dataclass(eq=False)
class ChangedMeanwhile(AppError):
    """Somebody else decided, or money came, since this version was read."""

    status = 409
    code = "changed_meanwhile"
    category = "transaction"
    message = "This was changed by somebody else meanwhile. Read it again."


@dataclass(eq=False)
class OwnPayment(AppError):
    """Nobody decides about a payment to the own account."""

    status = 403
    code = "own_payment"
    category = "authentication"
    message = "You cannot decide about a payment to your own account."


@dataclass(eq=False)
class SecondPersonNeeded(AppError):
    """The amount is above what one person may approve; the same person came twice."""

    status = 409
    code = "second_person_needed"
    category = "transaction"
    message = "You have approved this. Somebody else must approve it too."


@dataclass(eq=False)
class NothingToRefund(AppError):
    """The payment has less left than should go back, or cannot go back by itself."""

    left_paise: Paise

    status = 409
    code = "nothing_to_refund"
    category = "transaction"

    def sentence(self) -> str:
        return f"Of this payment {format_rupees(self.left_paise)} rupees can go back through its gateway."


@dataclass(eq=False)
class BadSignature(AppError):
    """A webhook or an alert that proves nothing. Which part is wrong is not said."""

    status = 401
    code = "bad_signature"
    category = "authentication"
    message = "The signature is not valid."


@dataclass(eq=False)
class RateUnknown(AppError):
    """No price is fresh enough."""

    reason: str
    at: datetime | None = None

    status = 503
    code = "rate_unknown"
    category = "transaction"
    message = "The rate is not known at the moment: {reason}."
    retry_after = 60
