"""What callers send about people, and what they are answered."""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from numberdesk.accounts.model import AccountState, Dialect, Mode, Role, Scope
from numberdesk.accounts.service import OVERLAP_HOURS_MAX

Email = Annotated[str, Meta(min_length=1, max_length=320)]
Password = Annotated[str, Meta(min_length=1)]
Name = Annotated[str, Meta(max_length=80)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Code = Annotated[str, Meta(min_length=1, max_length=64)]
Token = Annotated[str, Meta(min_length=1, max_length=500)]


class Register(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Whoever wants an account."""

    email: Email
    password: Password
    accept_terms: bool
    name: Name = ""


class OneEmail(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """An address to send a mail to."""

    email: Email


class VerifyEmail(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """The token of a link, or the address with the six digits."""

    token: Token | None = None
    email: Email | None = None
    otp: Code | None = None


class Login(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Address, password and, where there is one, a code of the second factor or a recovery code."""

    email: Email
    password: Password
    totp: Code | None = None


class Refresh(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A refresh token."""

    refresh_token: Token


class ChangePassword(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """The password as it is and as it shall be."""

    current_password: Password
    new_password: Password


class ResetPassword(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """The token of a link, and a new password."""

    token: Token
    new_password: Password


class AcceptTerms(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """The version that was read."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]


class ChangeProfile(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What is to change; what is left out stays."""

    name: Name | UnsetType = UNSET
    phone: Annotated[str, Meta(max_length=40)] | UnsetType | None = UNSET
    timezone: Text | UnsetType = UNSET
    language: Text | UnsetType = UNSET
    telegram_chat_id: Annotated[str, Meta(pattern=r"^-?[0-9]{1,20}$")] | UnsetType | None = UNSET
    notify_by_email: bool | UnsetType = UNSET
    notify_by_telegram: bool | UnsetType = UNSET


class CreateKey(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A key for a program: what it may do, until when and from where. Test keys move play money only."""

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=10)]
    expires_at: datetime | None = None
    allowed_ips: Annotated[list[Text], Meta(max_length=50)] = []
    mode: Mode = "live"
    dialect: Dialect | None = None


class ChangeKey(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """How a key speaks the protocol of SMS-Activate; null is the classic way."""

    dialect: Dialect | None


class RotateKey(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """How many hours the old key works beside the new one."""

    overlap_hours: Annotated[int, Meta(ge=0, le=OVERLAP_HOURS_MAX)] = 24


class OneCode(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A code of the second factor."""

    totp: Code


class Registered(Struct, rename="camel", frozen=True):
    """What comes next is a mail."""

    verification_required: bool = True


class Accepted(Struct, rename="camel", frozen=True):
    """If there is somebody to send a mail to, it is on its way."""

    accepted: bool = True


class Verified(Struct, rename="camel", frozen=True):
    """The address is proven."""

    verified: bool = True


class UserView(Struct, rename="camel", frozen=True):
    """Who signed in."""

    id: int
    email: str
    name: str
    email_verified: bool
    role: Role
    second_factor: bool
    enrolment_required: bool


class LoginView(Struct, rename="camel", frozen=True):
    """The tokens of a new session. Keep both secret."""

    access_token: str
    expires_in: int
    refresh_token: str
    user: UserView


class TokensView(Struct, rename="camel", frozen=True):
    """The next pair of tokens."""

    access_token: str
    expires_in: int
    refresh_token: str


class ProfileView(Struct, rename="camel", frozen=True):
    """A person's own data."""

    id: int
    email: str
    email_verified: bool
    name: str
    phone: str | None
    timezone: str
    language: str
    telegram_chat_id: str | None
    notify_by_email: bool
    notify_by_telegram: bool
    role: Role
    state: AccountState
    second_factor: bool
    terms_version: int | None
    created_at: datetime | None


class KeyView(Struct, rename="camel", frozen=True):
    """A key without its secret."""

    id: int
    name: str
    mode: Mode
    prefix: str
    scopes: list[str]
    created_at: datetime | None
    expires_at: datetime | None
    allowed_ips: list[str]
    last_used_at: datetime | None
    last_used_ip: str | None
    replaced_by: int | None
    dialect: Dialect | None


class NewKeyView(Struct, rename="camel", frozen=True):
    """A new key. Its secret is shown this once."""

    id: int
    secret: str


class SessionView(Struct, rename="camel", frozen=True):
    """A device that is signed in."""

    id: int
    current: bool
    ip: str
    user_agent: str
    created_at: datetime | None
    last_used_at: datetime | None
    expires_at: datetime | None


class EndedView(Struct, rename="camel", frozen=True):
    """How many ended."""

    ended: int


class IpView(Struct, rename="camel", frozen=True):
    """An address that the account was used from."""

    ip: str
    first_seen_at: datetime | None
    last_seen_at: datetime | None


class SetUpView(Struct, rename="camel", frozen=True):
    """What an authenticator app needs. It counts once it is confirmed."""

    secret: str
    otpauth_uri: str


class RecoveryCodesView(Struct, rename="camel", frozen=True):
    """Codes for whoever loses the app; each works once, and they are shown this once."""

    recovery_codes: list[str]


class TermsView(Struct, rename="camel", frozen=True):
    """The terms in force."""

    version: int
    text: str
    published_at: datetime | None
