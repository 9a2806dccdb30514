"""Planted secrets appear in no log line, no error, no mail, no metric and no row of any table."""

import io
import json
import logging
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyotp
import pytest
import structlog
from anyio.from_thread import BlockingPortal
from structlog.types import EventDict, WrappedLogger

from numberdesk.accounts import service as accounts
from numberdesk.base import log
from numberdesk.base.db import open_database, rows
from numberdesk.base.postgres import Cluster
from numberdesk.monitoring import service as monitoring
from tests.http import stand as stands
from tests.http.stand import PASSWORD, Answer, Client, SignedIn, Stand
from tests.notifications.mailbox import Mailbox, mailbox
from tests.notifications.telegram import STAFF_CHAT, TOKEN, FakeTelegram, telegram, too_many

PLANTED_MIN = 40
METRICS_TOKEN = "scrapes-with-this-token"
LINK = re.compile(r"#token=([A-Za-z0-9_-]{43})")
EMAIL = "mynah@example.com"
BODIES: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("/auth/register", {"email": "parrot@example.com", "acceptTerms": True}, "password"),
    ("/auth/login", {"email": EMAIL}, "password"),
    ("/auth/login", {"email": EMAIL, "password": PASSWORD}, "totp"),
    ("/auth/verify-email", {}, "token"),
    ("/auth/verify-email", {"email": EMAIL}, "otp"),
    ("/auth/refresh", {}, "refreshToken"),
    ("/auth/logout", {}, "refreshToken"),
    ("/auth/reset-password", {"newPassword": PASSWORD}, "token"),
    ("/auth/reset-password", {"token": "x" * 43}, "newPassword"),
)
"""Calls for everybody, each with what it needs besides its secret, and the secret's name."""
OWN: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("/auth/change-password", {"newPassword": PASSWORD}, "currentPassword"),
    ("/auth/change-password", {"currentPassword": PASSWORD + "?"}, "newPassword"),
    ("/user/2fa/confirm", {}, "totp"),
    ("/user/2fa/disable", {}, "totp"),
    ("/user/2fa/recovery-codes", {}, "totp"),
)
"""Calls for whoever has signed in."""


@dataclass
class Scene:
    """A site that is watched, everything that it said, and everything that it must not have said."""

    stand: Stand
    box: Mailbox
    chat: FakeTelegram
    logged: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    typed: list[str] = field(default_factory=list)
    """What callers sent: no answer and no mail has it."""
    handed: list[str] = field(default_factory=list)
    """What its owner was given, once."""

    def plant(self, form: str = "{}") -> str:
        """Return a new secret that somebody will type."""
        self.typed.append(f"Canary{len(self.typed):03d}x{secrets.token_hex(8)}")
        return form.format(self.typed[-1])

    def hand(self, secret: str) -> str:
        """Note a secret of which its owner was told."""
        self.handed.append(secret)
        return secret

    def heard(self, answer: Answer) -> Answer:
        """Note an answer in which no secret may stand."""
        self.refusals.append(answer.body.decode() + repr(dict(answer.headers)))
        return answer

    def post(self, client: Client, path: str, body: object, **headers: str) -> Answer:
        return self.heard(client.post(path, body, **headers))

    def knock(self, address: str, authorization: str = "") -> None:
        """Ask at an address of any protocol, and note what comes back."""
        client = replace(self.stand.nobody, others=frozenset({422, 402}))
        self.heard(client.send("GET", address, headers={"Authorization": authorization} if authorization else {}))

    def mail(self, to: str, subject: str) -> str:
        message = self.stand.portal.call(lambda: self.box.next(to=to, subject_part=subject, patience=8))
        return text_of(message)

    @property
    def access(self) -> list[str]:
        """Lines about answered requests."""
        return [line for text in self.logged for line in text.splitlines() if line.startswith('{"event":"request"')]

    def everything(self) -> list[str]:
        return [*self.typed, *self.handed]

    def at_ease(self) -> None:
        """Let nobody be refused for too many tries: what is behind the limits is of interest here."""
        self.stand.change("UPDATE limit_counters SET hits = 0")


def text_of(message: Any) -> str:
    """Return all words of a mail, decoded."""
    parts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
    return "\n".join([*(f"{name}: {text}" for name, text in message.items()), *map(str, parts)])


class Keeper(logging.Handler):
    """Keeps what the libraries log; the mail server is the tests' own."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self.into = into

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("mail."):
            self.into.append(self.format(record))


@contextmanager
def watched(into: list[str]) -> Iterator[None]:
    """Keep every line that is logged, at any level, before anything is blanked in it; and what is printed."""

    def keep(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        into.append(repr(event))
        raise structlog.DropEvent

    told, root, printed = structlog.get_config(), logging.getLogger(), io.StringIO()
    keeper, level, stderr = Keeper(into), root.level, os.dup(2)
    structlog.configure(
        processors=[structlog.processors.format_exc_info, keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    lines, log.ACCESS.lines = log.ACCESS.lines, "all"
    try:
        with tempfile.TemporaryFile() as file, redirect_stderr(printed), redirect_stdout(printed):
            os.dup2(file.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(stderr, 2)
                os.close(stderr)
                file.seek(0)
                into.extend([printed.getvalue(), file.read().decode(errors="replace")])
    finally:
        log.ACCESS.lines = lines
        root.removeHandler(keeper)
        root.setLevel(level)
        structlog.configure(**told)


@pytest.fixture(scope="module")
def scene(portal: BlockingPortal, cluster: Cluster, run_folder: Path) -> Iterator[Scene]:
    """A site at which all secrets were planted that the tests look for."""
    folder = run_folder / f"canaries-{os.getpid()}"
    folder.mkdir()
    often = "100000 per hour"
    with (
        portal.wrap_async_context_manager(mailbox()) as box,
        portal.wrap_async_context_manager(telegram()) as chat,
        stands.opened(
            portal, cluster, proxy_folder=folder, smtp_host="127.0.0.1", smtp_port=box.port, smtp_security="none",
            mail_from="Numberdesk <desk@example.com>", public_base_url="https://numbers.test",
            rate_limit_register=often, rate_limit_login=often, rate_limit_otp=often, rate_limit_protocol="off",
            metrics_token=METRICS_TOKEN,
            telegram_bot_token=TOKEN, telegram_chat_id=STAFF_CHAT, telegram_url=chat.url,
        ) as stand,
    ):  # fmt: skip
        scene = Scene(stand, box, chat)
        scene.handed.append(TOKEN)
        with watched(scene.logged):
            mynah = stand.signed_in(EMAIL)
            plant_in_bodies(scene, mynah)
            plant_in_headers(scene, mynah)
            plant_in_addresses(scene, mynah)
            live_a_life(scene)
            use_keys_and_factors(scene)
            break_down(scene, mynah)
            break_telegram(scene)
            log.ACCESS.write_rest()
        yield scene


def plant_in_bodies(scene: Scene, mynah: SignedIn) -> None:
    """Put secrets into every field for one: as they should be, of the wrong form, and where no JSON is."""
    for client, table in ((scene.stand.nobody, BODIES), (mynah.client, OWN)):
        for path, body, name in table:
            scene.at_ease()
            for form in ("{}", "{}" + "y" * 1500, "{}\0", "é{}", "nd_rt_1_1_{}" + "A" * 17):
                scene.post(client, path, body | {name: scene.plant(form)})
            for wrong in ([scene.plant()], {"x": scene.plant()}, {scene.plant(): 1}):
                scene.post(client, path, body | {name: wrong})
            known = json.dumps(body)[:-1] + (", " if body else "")
            for raw in (
                f'{known}"{name}": "{scene.plant()}'.encode(),
                f'{known}"{name}": "{scene.plant()}\\ud800"}}'.encode(),
                f'{known}"{name}": "{scene.plant()}'.encode() + b'\xff"}',
                f'{known}"{name}": {scene.plant()}}}'.encode(),
                f'"{scene.plant()}"'.encode(),
                f'["{scene.plant()}"]'.encode(),
                scene.plant().encode(),
                scene.plant("{}" + "z" * 70_000).encode(),
            ):
                scene.post(client, path, raw)
            scene.post(
                client, path, f"{name}={scene.plant()}".encode(), Content_Type="application/x-www-form-urlencoded"
            )


def plant_in_headers(scene: Scene, mynah: SignedIn) -> None:
    """Put secrets where callers say who they are."""
    nobody, token = scene.stand.nobody, str(mynah.client.token)
    head, claims, _ = token.split(".")
    for value in (
        scene.plant(),
        scene.plant("{}é"),
        scene.plant("{}" + "w" * 4000),
        scene.plant(f"{head}.{claims}.{{}}"),
        scene.plant(f"{head}.{{}}.{claims}"),
        scene.plant("{}." + f"{claims}.{claims}"),
        scene.plant("nd_live_{}_" + "a" * 15),
        scene.plant("nd_rt_1_1_{}"),
    ):
        for path in ("/user/balance", "/user/sessions"):
            for headers in (
                {"Authorization": f"Bearer {value}"},
                {"Authorization": f"Basic {value}"},
                {"Authorization": value},
                {"X-API-Key": value},
                {"X-API-Key": value, "Authorization": f"Bearer {value}"},
                {"Cookie": f"session={value}"},
            ):
                latin = {name: text.encode("latin-1") for name, text in headers.items()}
                assert scene.heard(nobody.send("GET", path, headers=latin)).status == 401
                scene.heard(nobody.send("POST", "/auth/get-number", body=b"{}", headers=latin))


def plant_in_addresses(scene: Scene, mynah: SignedIn) -> None:
    """Put secrets where they do not belong: into paths, queries, and fields about other things."""
    for client in (scene.stand.nobody, mynah.client):
        for form in ("/nowhere/{}", "/orders/{}", "/reset-password?token={}", "/orders?cursor={}", "/orders?limit={}"):
            scene.heard(client.get(scene.plant(form)))
        for form in ("/user/api-keys/{}", "/user/sessions/{}"):
            scene.heard(client.send("DELETE", scene.plant(form)))
        scene.post(client, scene.plant("/user/api-keys/{}/rotate"), {})
    for door in ("/stubs/handler_api.php", "/hero/stubs/handler_api.php", "/nowhere", "/user/balance", "/metrics"):
        for form in ("?api_key={}&action=getBalance", "?action={}", "?action=getStatus&id=1&token={}", "?secret={}"):
            scene.knock(scene.plant(door + form))
    for path in ("/v1/user/profile", "/v1/user/check/{}", "/v1/{}", "/v1/user/{}/1", "/metrics"):
        scene.knock(scene.plant(path) if "{" in path else path, scene.plant("Bearer {}"))
    key = {"name": "bot", "scopes": ["read"]}
    for change in (
        {"scopes": [scene.plant()]}, {"expiresAt": scene.plant()}, {"allowedIps": [scene.plant()]},
        {"scopes": scene.plant()},
    ):  # fmt: skip
        assert scene.post(mynah.client, "/user/api-keys", key | change).status == 400


def live_a_life(scene: Scene) -> None:
    """Register, prove the address, log in, renew, change and forget the password: each secret is a right one."""
    nobody, email, password = scene.stand.nobody, "koel@example.com", scene.plant()
    scene.at_ease()
    assert (
        scene.post(nobody, "/auth/register", {"email": email, "password": password, "acceptTerms": True}).status == 200
    )
    assert (
        scene.post(nobody, "/auth/register", {"email": EMAIL, "password": password, "acceptTerms": True}).status == 200
    )
    token = linked(scene, email, "Confirm")
    assert scene.post(nobody, "/auth/verify-email", {"token": token}).status == 200
    client, refresh = log_in(scene, email, password)
    renewed = nobody.post("/auth/refresh", {"refreshToken": refresh}).data
    for name in ("accessToken", "refreshToken"):
        scene.hand(renewed[name])
    change = {"currentPassword": password, "newPassword": scene.plant()}
    assert scene.post(client, "/auth/change-password", change).status == 200
    log_in(scene, email, change["newPassword"])
    assert scene.post(nobody, "/auth/forgot-password", {"email": email}).status == 200
    token, last = linked(scene, email, "Choose a new password"), scene.plant()
    weak = {"token": token, "newPassword": scene.plant() + "y" * 2000}
    assert scene.post(nobody, "/auth/reset-password", weak).status == 400
    assert scene.post(nobody, "/auth/reset-password", {"token": token, "newPassword": last}).status == 200
    assert scene.post(nobody, "/auth/reset-password", {"token": token, "newPassword": last}).status == 400
    _, refresh = log_in(scene, email, last)
    assert scene.post(nobody, "/auth/logout", {"refreshToken": refresh}).status == 200
    assert scene.post(nobody, "/auth/refresh", {"refreshToken": refresh}).status == 401


def linked(scene: Scene, email: str, subject: str) -> str:
    """Return the token of the link in the newest mail."""
    found = LINK.search(scene.mail(email, subject))
    assert found
    return scene.hand(found[1])


def log_in(scene: Scene, email: str, password: str, **more: str) -> tuple[Client, str]:
    """Open a session by HTTP; returns who has it and its refresh token."""
    found = scene.stand.nobody.post("/auth/login", {"email": email, "password": password, **more}).data
    scene.hand(found["accessToken"])
    return Client(scene.stand.port, token=found["accessToken"]), scene.hand(found["refreshToken"])


def use_keys_and_factors(scene: Scene) -> None:
    """Make, rotate and end keys; set up a second factor, use it wrong and right."""
    asha = scene.stand.signed_in("bulbul@example.com")
    for given in (str(asha.client.token), asha.refresh):
        scene.hand(given)
    old = asha.client.post("/user/api-keys", {"name": "bot", "scopes": ["read", "order"]}).data
    new = asha.client.post(f"/user/api-keys/{old['id']}/rotate", {}).data
    for key in (old, new):
        bot = Client(scene.stand.port, key=scene.hand(key["secret"]))
        assert scene.heard(bot.get("/user/balance")).status == 200
        assert scene.heard(bot.get("/user/sessions")).status == 403
        assert scene.heard(replace(bot, token=asha.client.token).get("/user/balance")).status == 401
    assert scene.heard(asha.client.send("DELETE", f"/user/api-keys/{new['id']}")).status == 200
    assert scene.heard(asha.client.get("/user/api-keys")).status == 200
    secret = scene.hand(asha.client.post("/user/2fa/setup", {}).data["secret"])
    codes = asha.client.post("/user/2fa/confirm", {"totp": pyotp.TOTP(secret).now()}).data["recoveryCodes"]
    for code in codes:
        scene.hand(code)
    log_in(scene, "bulbul@example.com", PASSWORD, totp=codes[0])
    body = {"email": "bulbul@example.com", "password": PASSWORD}
    assert scene.post(scene.stand.nobody, "/auth/login", body | {"totp": codes[0]}).status == 401
    for code in asha.client.post("/user/2fa/recovery-codes", {"totp": codes[1]}).data["recoveryCodes"]:
        scene.hand(code)
    assert scene.post(asha.client, "/user/2fa/disable", {"totp": codes[2]}).status == 401
    assert scene.post(asha.client, "/user/2fa/disable", {"totp": scene.plant()}).status == 401
    assert scene.post(scene.stand.nobody, "/auth/login", body | {"totp": scene.plant()}).status == 401
    assert scene.post(scene.stand.nobody, "/auth/login", body | {"password": scene.plant()}).status == 401


def break_down(scene: Scene, mynah: SignedIn) -> None:
    """Have verbs crash, and the database away, while secrets are at work."""

    async def crash(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("a bug of the tests")

    calls = ((scene.stand.nobody, BODIES), (mynah.client, OWN))
    with pytest.MonkeyPatch.context() as patch:
        for verb in (
            "register", "login", "renew", "logout", "verify_by_link", "verify_by_code", "reset_password",
            "change_password", "confirm", "disable", "renew_recovery_codes",
        ):  # fmt: skip
            patch.setattr(accounts, verb, crash)
        for client, table in calls:
            for path, body, name in table:
                assert scene.post(client, path, body | {name: scene.plant()}).status == 500, path
    scene.stand.cut_database()
    try:
        for client, table in calls:
            for path, body, name in table:
                answer = scene.post(client, path, body | {name: scene.plant("nd_rt_1_1_{}" + "A" * 17)})
                assert answer.status in (200, 400, 401, 503), (path, answer)
        scene.heard(scene.stand.nobody.get("/user/balance", X_API_Key=scene.plant()))
        scene.heard(scene.stand.nobody.get("/user/balance", Authorization=scene.plant("Bearer {}")))
    finally:
        scene.stand.mend_database()


def break_telegram(scene: Scene) -> None:
    """Have Telegram hang up, slow us down and misspeak while its token is at work, until all was told."""
    chat = scene.chat
    chat.drops = 1
    chat.answers = [too_many(1), (500, {"ok": False, "description": "Internal Server Error"}), (502, {})]

    def told() -> bool:
        scene.stand.change("UPDATE outbox SET due_at = clock_timestamp() WHERE state = 'waiting'")
        return "Unexpected error" in "".join(chat.texts()) and not chat.answers and not chat.drops

    end = time.monotonic() + 40
    while not told():
        assert time.monotonic() < end, chat.texts()
        time.sleep(0.2)


def found_in(texts: list[str], secrets_planted: list[str]) -> list[tuple[str, str]]:
    """Return each secret that stands in a text, with the words around it."""
    whole = "\n".join(texts)
    return [
        (secret, whole[max(0, at - 200) : at + 100]) for secret in secrets_planted if (at := whole.find(secret)) >= 0
    ]


def test_enough_was_planted_and_the_watch_was_kept(scene: Scene) -> None:
    assert len(set(scene.typed)) == len(scene.typed) >= PLANTED_MIN
    assert len(set(scene.handed)) == len(scene.handed) >= PLANTED_MIN / 2
    assert sum("request_crashed" in line and "a bug of the tests" in line for line in scene.logged) == len(BODIES + OWN)
    assert len(scene.refusals) > len(scene.typed) / 2
    assert len(scene.box.messages) > 5


def test_no_log_line_has_a_secret(scene: Scene) -> None:
    assert found_in(scene.logged, scene.everything()) == []


def test_every_request_was_told_by_its_route_and_none_by_its_address(scene: Scene) -> None:
    told = [json.loads(line) for line in scene.access]
    assert len(told) > len(scene.refusals)
    routes = {line["route"] for line in told}
    assert {"/auth/login", "/user/balance", "unmatched", "/v1/user/check", "/stubs/handler_api.php"} <= routes
    assert found_in(scene.access, scene.everything()) == []


def test_no_metric_and_no_status_has_a_secret(scene: Scene) -> None:
    scene.stand.portal.call(monitoring.beat, scene.stand.site.watch.heart)
    page = Client(scene.stand.port, token=METRICS_TOKEN).get("/metrics").body.decode()
    status = scene.stand.nobody.get("/system/status").body.decode()
    assert 'route="/stubs/handler_api.php' in page
    assert found_in([page, status], scene.everything()) == []


def test_no_answer_repeats_a_secret(scene: Scene) -> None:
    assert found_in(scene.refusals, scene.everything()) == []


def test_no_mail_has_what_somebody_typed_and_only_links_have_their_tokens(scene: Scene) -> None:
    mails = [text_of(message) for message in scene.box.messages]
    assert found_in(mails, scene.typed) == []
    assert found_in([LINK.sub("", mail) for mail in mails], scene.handed) == []


def test_the_staff_chat_was_told_of_people_and_errors_without_a_secret_or_a_whole_address(scene: Scene) -> None:
    texts = scene.chat.texts(STAFF_CHAT)
    told = "\n".join(texts)
    assert "New registration" in told
    assert "request_crashed RuntimeError" in told
    assert found_in(texts, scene.everything()) == []
    assert "bug of the tests" not in told
    assert re.search(r"Customer: \w…@example\.com", told)
    assert "bulbul@example.com" not in told


def test_no_row_of_any_table_has_a_secret(scene: Scene) -> None:
    stored = scene.stand.portal.call(dump, scene.stand.admin_url)
    assert {"audit_log", "outbox", "limit_counters", "mail_tokens", "sessions", "second_factors"} <= stored.keys()
    texts = ["\n".join(lines) for lines in stored.values()]
    assert found_in(texts, scene.everything()) == []
    assert found_in(texts, [secret.encode().hex() for secret in scene.everything()]) == []


async def dump(url: str) -> dict[str, list[str]]:
    """Return every row of every table as text; bytes are in hex."""
    db = await open_database(url, size=1, role=None)
    try:
        async with db.statement() as tx:
            names = [name for (name,) in await rows(tx, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
            return {
                name: [text for (text,) in await rows(tx, f'SELECT row_to_json(r)::text FROM "{name}" AS r')]
                for name in names
            }
    finally:
        await db.close()
