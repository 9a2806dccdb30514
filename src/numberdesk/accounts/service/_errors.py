"""What people are refused with, in one place because several verbs raise the same."""

from dataclasses import dataclass
from datetime import datetime

from numberdesk.accounts.model import Scope
from numberdesk.base.errors import AppError
from numberdesk.base.money import Paise

APPEAL = "Money in its wallet stays there. To appeal, write to support and name your address."


@dataclass(eq=False)
class NoCredentials(AppError):
    """The request names no caller."""

    status = 401
    code = "credentials_missing"
    category = "authentication"
    message = "Send your API key in the X-API-Key header, or an access token as `Authorization: Bearer …`."


@dataclass(eq=False)
class TwoCredentials(AppError):
    """The request names two callers."""

    status = 401
    code = "credentials_ambiguous"
    category = "authentication"
    message = "Send an API key or an access token, not both."


@dataclass(eq=False)
class BadKey(AppError):
    """The key is unknown, revoked or expired: the answer is the same."""

    status = 401
    code = "bad_api_key"
    category = "authentication"
    message = "This API key is not valid."


@dataclass(eq=False)
class SessionEnded(AppError):
    """The token was ours, and its session is over."""

    status = 401
    code = "session_ended"
    category = "authentication"
    message = "This session is over. Log in again."


@dataclass(eq=False)
class BadRefreshToken(AppError):
    """The refresh token is forged, used up or ended: the answer is the same."""

    status = 401
    code = "bad_refresh_token"
    category = "authentication"
    message = "This refresh token is not valid any more. Log in again."


@dataclass(eq=False)
class BadCredentials(AppError):
    """Address or password is wrong; which one is not told."""

    status = 401
    code = "bad_credentials"
    category = "authentication"
    message = "E-mail address or password is wrong."


@dataclass(eq=False)
class SecondFactorNeeded(AppError):
    """The password is right, and the account has a second factor."""

    status = 401
    code = "totp_required"
    category = "authentication"
    message = "Send the six digits of your authenticator app, or a recovery code, as totp."


@dataclass(eq=False)
class BadSecondFactor(AppError):
    """The code is wrong, or was used before."""

    status = 401
    code = "totp_invalid"
    category = "authentication"
    message = "This code is not valid. Each code works once: wait for the next one."


@dataclass(eq=False)
class EnrolmentNeeded(AppError):
    """A member of the staff acts only with a second factor, and has none."""

    status = 403
    code = "second_factor_missing"
    category = "authentication"
    message = "Set up your second factor first: POST /user/2fa/setup, then /user/2fa/confirm."


@dataclass(eq=False)
class FreshLoginNeeded(AppError):
    """What is asked for needs a password that was proven lately."""

    status = 401
    code = "fresh_login_required"
    category = "authentication"
    message = "Log in again first: this needs a login of the last fifteen minutes."


@dataclass(eq=False)
class SecondFactorExists(AppError):
    """There is one already."""

    status = 409
    code = "second_factor_exists"
    category = "authentication"
    message = "The second factor is set up already. Disable it before you set up another."


@dataclass(eq=False)
class NoSecondFactor(AppError):
    """There is none to use."""

    status = 409
    code = "second_factor_absent"
    category = "authentication"
    message = "There is no second factor to use. Set it up first."


@dataclass(eq=False)
class SecondFactorObligatory(AppError):
    """Staff may not do without."""

    status = 403
    code = "second_factor_obligatory"
    category = "authentication"
    message = "Staff accounts must have a second factor."


@dataclass(eq=False)
class AccountBanned(AppError):
    """The account is closed for all calls."""

    status = 403
    code = "account_banned"
    category = "authentication"

    reason: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    appeal: str = APPEAL

    def sentence(self) -> str:
        why = "" if self.reason is None else f" Reason: {self.reason.rstrip('.')}."
        return f"This account is closed.{why} {self.appeal}"


@dataclass(eq=False)
class NotClosable(AppError):
    """Something is left in the account, or it is of those that are kept as they are."""

    state: str
    role: str
    available_paise: Paise
    held_paise: Paise
    open_orders: int
    open_recharges: int
    waiting_requests: int

    status = 409
    code = "account_not_closable"
    category = "transaction"

    def sentence(self) -> str:
        if self.state == "closed":
            return "This account is closed for good."
        if self.state not in ("active", "limited"):
            return f"This account is {self.state}, and kept so: reopen it first."
        if self.role != "customer":
            return "This account is of the staff: take its role first."
        left = {
            "money in the wallet": self.available_paise, "money that is held": self.held_paise,
            "open orders": self.open_orders, "open recharges": self.open_recharges,
            "requests of the staff about its money": self.waiting_requests,
        }  # fmt: skip
        return f"Only an empty account is closed; left are: {', '.join(what for what, count in left.items() if count)}."


@dataclass(eq=False)
class ClosedForGood(AppError):
    """The account was closed; nothing opens it again."""

    status = 409
    code = "account_closed"
    category = "transaction"
    message = "This account was closed for good and stays so."


@dataclass(eq=False)
class AccountFrozen(AppError):
    """The account may look but not spend."""

    status = 403
    code = "account_frozen"
    category = "authentication"
    message = "This account cannot buy at the moment. Write to support."


@dataclass(eq=False)
class EmailUnverified(AppError):
    """The address must be proven first."""

    status = 403
    code = "email_unverified"
    category = "authentication"
    message = "Verify your e-mail address first: we sent you a link and a code."


@dataclass(eq=False)
class TermsOwed(AppError):
    """Newer terms must be accepted first."""

    status = 403
    code = "terms_not_accepted"
    category = "authentication"
    message = "The terms have changed. Read them at /terms and accept them with POST /user/accept-terms."


@dataclass(eq=False)
class AddressNotAllowed(AppError):
    """The key is used from outside its list of addresses."""

    status = 403
    code = "ip_not_allowed"
    category = "authentication"
    message = "This API key may not be used from your address."


@dataclass(eq=False)
class ScopeTooSmall(AppError):
    """The caller is not allowed to do this."""

    scope: Scope

    status = 403
    code = "scope_too_small"
    category = "authentication"
    message = "This needs the scope '{scope}', which you do not have."


@dataclass(eq=False)
class OwnAccount(AppError):
    """Staff do not decide about themselves."""

    status = 403
    code = "own_account"
    category = "authentication"
    message = "This is your own account: another member of the staff must do it."


@dataclass(eq=False)
class LinkInvalid(AppError):
    """The link or code is wrong, used or too old: the answer is the same."""

    code = "link_invalid"
    category = "authentication"
    message = "This link or code is not valid any more. Ask for a new one."


@dataclass(eq=False)
class TooManyKeys(AppError):
    """The account has as many keys as one may have."""

    status = 409
    code = "too_many_keys"
    category = "validation"
    message = "You have as many API keys as one account may have. Revoke one first."


@dataclass(eq=False)
class KeyReplaced(AppError):
    """The key was rotated before."""

    status = 409
    code = "key_already_rotated"
    category = "validation"
    message = "This API key was rotated already. Rotate the key that took its place."
