"""HTTP face of people: registration, sessions, profile, API keys, second factor."""

from functools import partial
from typing import Any
from zoneinfo import available_timezones

from litestar import Request, Router, delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET

from numberdesk.accounts import service
from numberdesk.accounts.model import Caller, Key, KeyId, NewKey, Person, Session, SessionId, Tokens
from numberdesk.accounts.routes import _notices
from numberdesk.accounts.routes._bodies import (
    Accepted,
    AcceptTerms,
    ChangeKey,
    ChangePassword,
    ChangeProfile,
    CreateKey,
    EndedView,
    IpView,
    KeyView,
    Login,
    LoginView,
    NewKeyView,
    OneCode,
    OneEmail,
    ProfileView,
    RecoveryCodesView,
    Refresh,
    Register,
    Registered,
    ResetPassword,
    RotateKey,
    SessionView,
    SetUpView,
    TermsView,
    TokensView,
    UserView,
    Verified,
    VerifyEmail,
)
from numberdesk.accounts.service import People
from numberdesk.base.calls import Asked, Call, number_in_path
from numberdesk.base.db import Database
from numberdesk.base.described import document
from numberdesk.base.errors import InvalidFields
from numberdesk.base.visit import Visit
from numberdesk.base.web import (
    ACCESS,
    NO_KEY,
    PUBLIC,
    Done,
    Items,
    NoFields,
    Ok,
    encode,
    has_control_characters,
    rfc3339,
)

LANGUAGES = ("en", "hi")


def calls(people: Any) -> list[Call[Any]]:
    """Return the calls of this slice; without people they can only be described."""
    return [*_entry_calls(people), *_own_calls(people), *_notices.calls(people)]


def _entry_calls(people: Any) -> list[Call[Any]]:
    return [
        Call(
            path="/auth/register", body=Register, access=PUBLIC, run=partial(_register, people), answer=Registered,
            summary="Register",
            description="Sign up. The answer is the same whether or not the address is known; a mail follows.",
        ),
        Call(
            path="/auth/send-verification-email", body=OneEmail, access=PUBLIC,
            run=partial(_ask_for_mail, people, "verify"), answer=Accepted, summary="Send the verification mail again",
            description="Ask for a new link and code. The answer is the same whether or not the address is known.",
        ),
        Call(
            path="/auth/verify-email", body=VerifyEmail, access=PUBLIC, run=partial(_verify_email, people),
            answer=Verified, summary="Prove an e-mail address",
            description="Use up the link's token, or the six digits together with the address.",
        ),
        Call(
            path="/auth/login", body=Login, access=PUBLIC, run=partial(_login, people), answer=LoginView,
            summary="Log in",
            description="Open a session. With a second factor, 401 `totp_required` asks for its code.",
        ),
        Call(
            path="/auth/refresh", body=Refresh, access=PUBLIC, run=partial(_refresh, people), answer=TokensView,
            summary="Renew the tokens", description="Exchange a refresh token for its one successor.",
        ),
        Call(
            path="/auth/logout", body=Refresh, access=PUBLIC, run=partial(_logout, people), answer=Done,
            summary="Log out", description="End the session of a refresh token.",
        ),
        Call(
            path="/auth/forgot-password", body=OneEmail, access=PUBLIC, run=partial(_ask_for_mail, people, "reset"),
            answer=Accepted, summary="Ask for a new password",
            description="Ask for a link by mail. The answer is the same whether or not the address is known.",
        ),
        Call(
            path="/auth/reset-password", body=ResetPassword, access=PUBLIC, run=partial(_reset_password, people),
            answer=Done, summary="Set a new password",
            description="Set a new password by the link that was sent. Every session ends; the second factor stays.",
        ),
    ]  # fmt: skip


def _own_calls(people: Any) -> list[Call[Any]]:
    return [
        Call(
            path="/auth/change-password", body=ChangePassword, access="account", run=partial(_change_password, people),
            answer=Done, summary="Change the password", description="Replace the password; other sessions end.",
        ),
        Call(
            path="/user/profile", method="PUT", body=ChangeProfile, access="account",
            run=partial(_change_profile, people), answer=ProfileView, summary="Change the profile",
            description="Change the fields that are sent; what is left out stays.",
        ),
        Call(
            path="/user/accept-terms", body=AcceptTerms, access="account", run=partial(_accept_terms, people),
            answer=Done, summary="Accept the terms", description="Accept the terms in force, by their version.",
        ),
        Call(
            path="/user/api-keys", body=CreateKey, access="account", run=partial(_create_key, people),
            answer=NewKeyView, summary="Make an API key",
            description="Make a key; its secret is shown this once. A key of mode `test` moves play money only.",
        ),
        Call(
            path="/user/api-keys/{id}", method="PUT", body=ChangeKey, access="account",
            run=partial(_change_key, people), answer=KeyView, summary="Change an API key",
            description="Choose how the protocol of SMS-Activate is spoken to a key; it counts within a second.",
        ),
        Call(
            path="/user/api-keys/{id}/rotate", body=RotateKey, access="account", run=partial(_rotate_key, people),
            answer=NewKeyView, summary="Rotate an API key",
            description="Make a key that takes another's place; the old one works for some hours more.",
        ),
        Call(
            path="/user/2fa/setup", body=NoFields, access="enrol", run=partial(_set_up, people), answer=SetUpView,
            summary="Set up a second factor", description="Make a secret for an authenticator app; confirm it next.",
        ),
        Call(
            path="/user/2fa/confirm", body=OneCode, access="enrol", run=partial(_confirm, people),
            answer=RecoveryCodesView, summary="Confirm the second factor",
            description="Put the second factor into force with its first code; returns recovery codes once.",
        ),
        Call(
            path="/user/2fa/disable", body=OneCode, access="account", run=partial(_disable, people), answer=Done,
            summary="Disable the second factor", description="Remove the second factor, which must be proven for that.",
        ),
        Call(
            path="/user/2fa/recovery-codes", body=OneCode, access="account", run=partial(_recovery_codes, people),
            answer=RecoveryCodesView, summary="Renew the recovery codes",
            description="Make new recovery codes, shown once; the old ones end.",
        ),
    ]  # fmt: skip


async def _register(people: People, asked: Asked, data: Register) -> bytes:
    await service.register(
        people, asked.visit, email=data.email, password=data.password, name=data.name, accept_terms=data.accept_terms
    )
    return encode(Registered())


async def _ask_for_mail(people: People, purpose: Any, asked: Asked, data: OneEmail) -> bytes:
    await service.ask_for_mail(people, asked.visit, email=data.email, purpose=purpose)
    return encode(Accepted())


async def _verify_email(people: People, asked: Asked, data: VerifyEmail) -> bytes:
    if data.token is not None and data.email is None and data.otp is None:
        await service.verify_by_link(people, asked.visit, token=data.token)
    elif data.token is None and data.email is not None and data.otp is not None:
        await service.verify_by_code(people, asked.visit, email=data.email, code=data.otp)
    else:
        raise InvalidFields({"token": "must be sent alone, or else email together with otp"})
    return encode(Verified())


async def _login(people: People, asked: Asked, data: Login) -> bytes:
    tokens, person = await service.login(people, asked.visit, email=data.email, password=data.password, totp=data.totp)
    user = UserView(
        person.id, person.email, person.name, person.verified_at is not None, person.role, person.has_second_factor,
        person.is_staff and not person.has_second_factor,
    )  # fmt: skip
    return encode(LoginView(tokens.access, tokens.expires_in, tokens.refresh, user))


async def _refresh(people: People, asked: Asked, data: Refresh) -> bytes:
    tokens: Tokens = await service.renew(people, asked.visit, refresh=data.refresh_token)
    return encode(TokensView(tokens.access, tokens.expires_in, tokens.refresh))


async def _logout(people: People, asked: Asked, data: Refresh) -> bytes:
    await service.logout(people, asked.visit, refresh=data.refresh_token)
    return encode(Done())


async def _reset_password(people: People, asked: Asked, data: ResetPassword) -> bytes:
    await service.reset_password(people, asked.visit, token=data.token, new=data.new_password)
    return encode(Done())


async def _change_password(people: People, asked: Asked, data: ChangePassword) -> bytes:
    await service.change_password(
        people, asked.caller, asked.visit, current=data.current_password, new=data.new_password
    )
    return encode(Done())


async def _change_profile(people: People, asked: Asked, data: ChangeProfile) -> bytes:
    changes = {name: value for name in data.__struct_fields__ if (value := getattr(data, name)) is not UNSET}
    problems = {}
    if changes.get("timezone", "UTC") not in available_timezones():
        problems["timezone"] = 'must be a name such as "Asia/Kolkata"'
    if changes.get("language", "en") not in LANGUAGES:
        problems["language"] = f"must be one of: {', '.join(LANGUAGES)}"
    if problems:
        raise InvalidFields(problems)
    return encode(_profile(people, await service.change_profile(people, asked.caller, asked.visit, changes)))


async def _accept_terms(people: People, asked: Asked, data: AcceptTerms) -> bytes:
    await service.accept_terms(people.db, asked.caller, asked.visit, version=data.version)
    return encode(Done())


async def _create_key(people: People, asked: Asked, data: CreateKey) -> bytes:
    if any(has_control_characters(text) for text in data.allowed_ips):
        raise InvalidFields({"allowedIps": "contains characters that are not text"})
    key = await service.create_key(
        people, asked.caller, asked.visit, name=data.name, scopes=list(dict.fromkeys(data.scopes)),
        expires_at=data.expires_at, allowed_ips=data.allowed_ips, mode=data.mode, dialect=data.dialect,
    )  # fmt: skip
    return _new_key(key)


async def _change_key(people: People, asked: Asked, data: ChangeKey) -> bytes:
    key = await service.set_dialect(people.db, asked.caller, asked.visit, KeyId(asked.id), dialect=data.dialect)
    return encode(_key(key))


async def _rotate_key(people: People, asked: Asked, data: RotateKey) -> bytes:
    return _new_key(
        await service.rotate_key(people, asked.caller, asked.visit, KeyId(asked.id), overlap_hours=data.overlap_hours)
    )


def _new_key(key: NewKey) -> bytes:
    return encode(NewKeyView(key.id, key.secret))


async def _set_up(people: People, asked: Asked, _data: NoFields) -> bytes:
    found = await service.set_up(people, asked.caller)
    return encode(SetUpView(found.secret, found.otpauth_uri))


async def _confirm(people: People, asked: Asked, data: OneCode) -> bytes:
    return encode(RecoveryCodesView(await service.confirm(people, asked.caller, asked.visit, code=data.totp)))


async def _disable(people: People, asked: Asked, data: OneCode) -> bytes:
    await service.disable(people, asked.caller, asked.visit, code=data.totp)
    return encode(Done())


async def _recovery_codes(people: People, asked: Asked, data: OneCode) -> bytes:
    codes = await service.renew_recovery_codes(people, asked.caller, asked.visit, code=data.totp)
    return encode(RecoveryCodesView(codes))


def _profile(people: People, person: Person) -> ProfileView:
    return ProfileView(
        person.id, person.email, person.verified_at is not None, person.name, service.phone_of(people, person),
        person.timezone, person.language, person.telegram_chat_id, person.notify_by_email, person.notify_by_telegram,
        person.role, person.state, person.has_second_factor, person.terms_version, rfc3339(person.created_at),
    )  # fmt: skip


@get("/user/profile", summary="Read the profile", opt={ACCESS: "read"})
async def profile(caller: NamedDependency[Caller], people: NamedDependency[People]) -> Ok[ProfileView]:
    """Read the caller's own data."""
    return Ok(data=_profile(people, await service.get_person(people.db, caller.account_id)))


@get("/user/api-keys", summary="List API keys", opt={ACCESS: "account"})
async def list_keys(caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Ok[Items[KeyView]]:
    """List the caller's keys that were not revoked, without their secrets."""
    return Ok(data=Items([_key(key) for key in await service.list_keys(db, caller)]))


def _key(key: Key) -> KeyView:
    return KeyView(
        key.id, key.name, key.mode, key.prefix, list(key.scopes), rfc3339(key.created_at), rfc3339(key.expires_at),
        list(key.allowed_ips), rfc3339(key.last_used_at), key.last_used_ip, key.replaced_by,
        key.dialect,
    )  # fmt: skip


@delete("/user/api-keys/{id:str}", status_code=200, summary="Revoke an API key", opt={ACCESS: "account"})
async def revoke_key(
    id: FromPath[str],  # noqa: A002 - the name in the path
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
) -> Ok[Done]:
    """End a key of the caller's; it stops working within a second."""
    await service.revoke_own_key(db, caller, _visit(request), KeyId(number_in_path(id, what="API key")))
    return Ok(data=Done())


@get("/user/sessions", summary="List devices", opt={ACCESS: "account"})
async def list_sessions(caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Ok[Items[SessionView]]:
    """List the devices that are signed in, with address and time."""
    return Ok(data=Items([_session(item, caller) for item in await service.list_sessions(db, caller)]))


def _session(item: Session, caller: Caller) -> SessionView:
    return SessionView(
        item.id, item.id == caller.session_id, item.ip, item.user_agent, rfc3339(item.created_at),
        rfc3339(item.last_used_at), rfc3339(item.expires_at),
    )  # fmt: skip


@delete("/user/sessions", status_code=200, summary="Log out everywhere", opt={ACCESS: "account"})
async def end_sessions(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Ok[EndedView]:
    """End every session of the caller's, this one too."""
    return Ok(data=EndedView(await service.end_all_sessions(db, caller, _visit(request))))


@delete("/user/sessions/{id:str}", status_code=200, summary="Log out one device", opt={ACCESS: "account"})
async def end_session(
    id: FromPath[str],  # noqa: A002 - the name in the path
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
) -> Ok[Done]:
    """End one session of the caller's."""
    await service.end_session(db, caller, _visit(request), SessionId(number_in_path(id, what="session")))
    return Ok(data=Done())


@get("/user/ips", summary="List addresses used", opt={ACCESS: "account"})
async def list_ips(caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Ok[Items[IpView]]:
    """List the addresses that the account was used from, the latest first."""
    found = await service.list_ips(db, caller)
    return Ok(data=Items([IpView(item.ip, rfc3339(item.first_seen_at), rfc3339(item.last_seen_at)) for item in found]))


@get("/terms", summary="Read the terms", opt={ACCESS: PUBLIC}, security=NO_KEY)
async def terms(db: NamedDependency[Database]) -> Ok[TermsView]:
    """Read the terms that a customer accepts."""
    found = await service.terms(db)
    return Ok(data=TermsView(found.version, found.text, rfc3339(found.published_at)))


def _visit(request: Request[Any, Any, Any]) -> Visit:
    found: Visit = request.scope["state"]["visit"]
    return found


router = Router(
    path="/",
    route_handlers=[
        profile, list_keys, revoke_key, list_sessions, end_sessions, end_session, list_ips, terms, *_notices.HANDLERS,
        *document(calls(None)),
    ],
    tags=["people"],
)  # fmt: skip
