"""Taking money out of a wallet by hand; putting it in is `service.credit`."""

from dataclasses import dataclass

from numberdesk.base.db import Tx
from numberdesk.base.errors import AppError, NotFound
from numberdesk.base.money import Paise, format_rupees
from numberdesk.wallet import sql
from numberdesk.wallet.book import open_book
from numberdesk.wallet.model import AccountId, is_sandbox


@dataclass(eq=False)
class TooLittleToTake(AppError):
    """Less is available in a wallet than staff want to take out of it."""

    available_paise: Paise

    status = 409
    code = "too_little_to_take"
    category = "transaction"

    def sentence(self) -> str:
        return f"Only {format_rupees(self.available_paise)} is available in this wallet."


async def debit(tx: Tx, account_id: AccountId, *, amount_paise: Paise, cause: str) -> bool:
    """Take available money out of a wallet into the operator's adjustments, once per cause for ever.

    Returns:
        Whether it was taken now; False when the cause had its effect before.

    Raises:
        TooLittleToTake: less is available; nothing was written.
        NotFound: the account has no wallet, or one of play money.
    """
    book = await open_book(tx, [account_id])
    if account_id not in book.purses or is_sandbox(account_id):
        raise NotFound(what="wallet")
    if await sql.list_known_causes(tx, ["admin_debit"], [cause]):
        return False
    available = book.purses[account_id].available
    if available < amount_paise:
        raise TooLittleToTake(available_paise=Paise(available))
    book.post(
        "admin_debit", "credit", cause,
        (account_id, "available", -amount_paise), (None, "adjustments", amount_paise),
    )  # fmt: skip
    await book.write(tx)
    return True
