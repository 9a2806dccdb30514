"""People over HTTP: register, prove an address, sign in, renew, end, and what is told of it."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyotp
import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.accounts import service as accounts
from numberdesk.base.postgres import Cluster
from tests.http import stand as stands
from tests.http.stand import PASSWORD, TELEGRAM, Client, SignedIn, Stand
from tests.notifications.mailbox import Mailbox, mailbox

LINK = re.compile(r"#token=([A-Za-z0-9_-]{43})")
CODE = re.compile(r"^(\d{6})$", re.M)
NEW = "another-good-sentence"
PATIENCE = 3.0


@dataclass(frozen=True)
class Scene:
    """A site that sends its mails to a real server, and the mailbox of everybody."""

    stand: Stand
    box: Mailbox

    @property
    def nobody(self) -> Client:
        return self.stand.nobody

    def mail(self, to: str, subject: str) -> str:
        """Wait for a mail and return its text."""
        message = self.stand.portal.call(lambda: self.box.next(to=to, subject_part=subject, patience=8))
        body: Any = message.get_body(("plain",))
        return str(body.get_content())

    def login(self, email: str, password: str = PASSWORD, **more: str) -> stands.Answer:
        return self.nobody.post("/auth/login", {"email": email, "password": password, **more})

    def mailed_link(self, to: str, subject: str) -> str:
        found = LINK.search(self.mail(to, subject))
        assert found
        return found[1]


@pytest.fixture(scope="module")
def scene(portal: BlockingPortal, cluster: Cluster) -> Iterator[Scene]:
    with (
        portal.wrap_async_context_manager(mailbox()) as box,
        stands.opened(
            portal, cluster, smtp_host="127.0.0.1", smtp_port=box.port, smtp_security="none",
            mail_from="Numberdesk <desk@example.com>", trusted_proxies="127.0.0.1",
            public_base_url="https://numbers.test", rate_limit_register="100 per hour", rate_limit_login="20 per hour",
        ) as stand,
    ):  # fmt: skip
        yield Scene(stand, box)


@pytest.fixture(autouse=True)
def _uncounted(scene: Scene) -> None:
    """Let no test use up what the next one may try."""
    scene.stand.change("DELETE FROM limit_counters")


def register(scene: Scene, address: str, **more: Any) -> stands.Answer:
    body = {"email": address, "password": PASSWORD, "acceptTerms": True} | more
    return scene.nobody.post("/auth/register", body)


def becomes(call: Any, refusal: tuple[int, str]) -> None:
    """Repeat a call until it is refused so: every process follows within a second."""
    until = time.monotonic() + PATIENCE
    while (answer := call()).status == 200:
        assert time.monotonic() < until, "the change was not seen in time"
        time.sleep(0.05)
    assert answer.refusal == refusal


def test_a_customer_registers_verifies_logs_in_and_buys(scene: Scene) -> None:
    email = "ravi@example.com"
    assert register(scene, email).data == {"verificationRequired": True}
    token = scene.mailed_link(email, "Confirm")
    early = Client(scene.stand.port, token=scene.login(email).data["accessToken"])
    assert early.post("/auth/get-number", TELEGRAM).refusal == (403, "email_unverified")
    assert scene.nobody.post("/auth/verify-email", {"token": token}).data == {"verified": True}
    assert scene.nobody.post("/auth/verify-email", {"token": token}).refusal == (400, "link_invalid")
    found = scene.login(email).data
    assert (found["user"]["emailVerified"], found["expiresIn"]) == (True, 900)
    ravi = Client(scene.stand.port, token=found["accessToken"], account_id=found["user"]["id"])
    scene.stand.credit(ravi, 100_00)
    assert ravi.post("/auth/get-number", TELEGRAM).data["status"] == "active"
    assert ravi.get("/user/balance").data["held"] == stands.PRICE


def test_six_digits_prove_an_address_too_and_five_wrong_ones_end_them(scene: Scene) -> None:
    email = "digits@example.com"
    register(scene, email)
    code = CODE.search(scene.mail(email, "Confirm"))
    assert code
    for number in range(2):
        wrong = f"{(int(code[1]) + number + 1) % 1_000_000:06d}"
        assert scene.nobody.post("/auth/verify-email", {"email": email, "otp": wrong}).refusal == (400, "link_invalid")
    assert scene.nobody.post("/auth/verify-email", {"email": email, "otp": code[1]}).data == {"verified": True}
    answer = scene.nobody.post("/auth/verify-email", {"email": email, "otp": code[1]})
    assert answer.refusal == (429, "too_many_requests")
    assert int(answer.headers["retry-after"]) > 200


def test_an_address_that_is_known_gets_the_same_answer_and_another_mail(scene: Scene) -> None:
    scene.stand.signed_in("known@example.com")
    first, second = register(scene, "new@example.com"), register(scene, "Known@Example.com", password=NEW)
    assert first.body == second.body
    assert first.headers.keys() == second.headers.keys()
    assert "already" in scene.mail("known@example.com", "").casefold()
    assert scene.login("known@example.com", NEW).refusal == (401, "bad_credentials")
    assert scene.login("known@example.com").status == 200


def test_an_address_that_was_never_proven_can_be_registered_again_and_the_first_session_ends(scene: Scene) -> None:
    email = "squatted@example.com"
    register(scene, email)
    squatter = Client(scene.stand.port, token=scene.login(email).data["accessToken"])
    assert squatter.get("/user/profile").status == 200
    assert squatter.post("/user/api-keys", {"name": "x", "scopes": ["read"]}).refusal == (403, "email_unverified")
    register(scene, email, password=NEW)
    becomes(lambda: squatter.get("/user/profile"), (401, "session_ended"))
    assert scene.login(email).refusal == (401, "bad_credentials")
    assert scene.login(email, NEW).status == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": "a@mailinator.com"}, "email"),
        ({"email": "a@x.mailinator.com"}, "email"),
        ({"email": "a@ex\u0430mple.com"}, "email"),
        ({"email": "a\u0000b@example.com"}, "email"),
        ({"email": "a@" + "x" * 300 + ".com"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "1234567890"}, "password"),
        ({"password": "p" * 2000}, "password"),
        ({"password": "with\u0000nul-inside"}, "password"),
        ({"password": "fields-ravi", "email": "fields.ravi@example.com"}, "password"),
        ({"acceptTerms": False}, "acceptTerms"),
        ({"role": "owner"}, "role"),
        ({"name": "a\u202eb"}, "name"),
    ],
)
def test_bad_fields_are_named_and_nothing_is_made(scene: Scene, change: dict[str, Any], field: str) -> None:
    before = scene.stand.ask("SELECT count(*) FROM accounts")
    answer = register(scene, "fields@example.com", **change)
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == [field]
    assert scene.stand.ask("SELECT count(*) FROM accounts") == before


def test_a_megabyte_of_password_is_refused_by_its_size(scene: Scene) -> None:
    for path in ("/auth/register", "/auth/login", "/auth/reset-password"):
        assert scene.nobody.post(path, {"password": "p" * 1_000_000}).status == 413


def test_the_operators_word_on_domains_stands_above_the_list(scene: Scene) -> None:
    stand = scene.stand
    stand.portal.call(accounts.judge_domain, stand.site.db, "mailinator.com", "allow")
    stand.portal.call(accounts.judge_domain, stand.site.db, "corp.example.org", "deny")
    assert register(scene, "a@mailinator.com").status == 200
    assert register(scene, "a@sub.corp.example.org").refusal == (400, "invalid_request")
    assert register(scene, "a@example.org").status == 200


def test_a_wrong_password_and_an_unknown_address_look_alike(scene: Scene) -> None:
    scene.stand.signed_in("alike@example.com")
    wrong, unknown = scene.login("alike@example.com", NEW), scene.login("nobody-at-all@example.com", NEW)
    assert wrong.refusal == unknown.refusal == (401, "bad_credentials")
    shown = [{name: text for name, text in answer.json.items() if name != "details"} for answer in (wrong, unknown)]
    assert shown[0] == shown[1]


def renew(scene: Scene, token: str) -> stands.Answer:
    return scene.nobody.post("/auth/refresh", {"refreshToken": token})


def test_a_refresh_token_is_good_once_and_an_old_one_ends_the_session(scene: Scene) -> None:
    asha = scene.stand.signed_in("refresh@example.com")
    second = renew(scene, asha.refresh).data
    assert renew(scene, asha.refresh).data["refreshToken"] == second["refreshToken"], "its answer may have been lost"
    third = renew(scene, second["refreshToken"]).data
    assert Client(scene.stand.port, token=third["accessToken"]).get("/user/profile").status == 200
    assert renew(scene, asha.refresh).refusal == (401, "bad_refresh_token")
    assert "twice" in scene.mail("refresh@example.com", "").casefold()
    assert renew(scene, third["refreshToken"]).refusal == (401, "bad_refresh_token")
    becomes(lambda: Client(scene.stand.port, token=third["accessToken"]).get("/user/profile"), (401, "session_ended"))


def test_a_refresh_token_is_no_access_token_and_a_forged_one_ends_nothing(scene: Scene) -> None:
    asha = scene.stand.signed_in("forged@example.com")
    assert replace(asha.client, token=asha.refresh).get("/user/profile").refusal == (401, "bad_token")
    name, kind, session, generation, mac = asha.refresh.split("_", 4)
    for forged in (
        f"{name}_{kind}_{session}_9_{mac}",
        asha.refresh[:-1] + "A",
        asha.refresh + "x",
        "nd_rt_1_1_" + "A" * 43,
    ):
        if forged != asha.refresh:
            assert renew(scene, forged).refusal == (401, "bad_refresh_token")
    assert generation == "1"
    assert asha.client.get("/user/profile").status == 200
    assert renew(scene, asha.refresh).status == 200


def test_devices_are_listed_and_ended_one_by_one_and_all_at_once(scene: Scene) -> None:
    asha = scene.stand.signed_in("devices@example.com")
    other = Client(scene.stand.port, token=scene.login("devices@example.com").data["accessToken"])
    found = asha.client.get("/user/sessions").data["items"]
    assert [item["current"] for item in found].count(True) == 1
    assert {item["ip"] for item in found} == {"127.0.0.1"}
    theirs = next(item["id"] for item in found if not item["current"])
    assert asha.client.send("DELETE", f"/user/sessions/{theirs}").data == {"done": True}
    becomes(lambda: other.get("/user/profile"), (401, "session_ended"))
    assert asha.client.send("DELETE", f"/user/sessions/{theirs}").refusal == (404, "not_found")
    assert asha.client.send("DELETE", "/user/sessions").data == {"ended": 1}
    becomes(lambda: asha.client.get("/user/profile"), (401, "session_ended"))
    assert renew(scene, asha.refresh).refusal == (401, "bad_refresh_token")


def test_a_logged_out_session_is_over(scene: Scene) -> None:
    asha = scene.stand.signed_in("logout@example.com")
    assert scene.nobody.post("/auth/logout", {"refreshToken": asha.refresh}).data == {"done": True}
    becomes(lambda: asha.client.get("/user/profile"), (401, "session_ended"))


def test_a_session_ends_when_it_was_idle_or_is_too_old(scene: Scene) -> None:
    for column in ("idle_until", "expires_at"):
        asha = scene.stand.signed_in(f"{column.replace('_', '-')}@example.com")
        if column == "idle_until":
            scene.stand.change(
                "UPDATE sessions SET idle_until = now(), changed_at = clock_timestamp() WHERE account_id = $1",
                asha.account_id,
            )
        else:
            scene.stand.change(
                "UPDATE sessions SET expires_at = now(), changed_at = clock_timestamp() WHERE account_id = $1",
                asha.account_id,
            )
        becomes(lambda asha=asha: asha.client.get("/user/profile"), (401, "session_ended"))
        assert renew(scene, asha.refresh).refusal == (401, "bad_refresh_token")


def test_a_banned_account_ends_at_once_in_every_session(scene: Scene) -> None:
    asha = scene.stand.signed_in("banned@example.com")
    scene.stand.portal.call(accounts.set_state, scene.stand.site.db, asha.account_id, "banned")
    until = time.monotonic() + PATIENCE
    while asha.client.get("/user/profile").status == 200:
        assert time.monotonic() < until
    assert asha.client.get("/user/profile").status == 401
    assert scene.login("banned@example.com").refusal == (403, "account_banned")
    assert scene.login("banned@example.com", NEW).refusal == (401, "bad_credentials")


def test_a_role_change_ends_sessions(scene: Scene) -> None:
    asha = scene.stand.signed_in("promoted@example.com")
    scene.stand.portal.call(accounts.set_role, scene.stand.site.db, asha.account_id, "support")
    becomes(lambda: asha.client.get("/user/profile"), (401, "session_ended"))
    assert scene.login("promoted@example.com").data["user"]["enrolmentRequired"] is True


def enrolled(scene: Scene, email: str) -> tuple[SignedIn, pyotp.TOTP, list[str]]:
    """Sign in and set up a second factor."""
    asha = scene.stand.signed_in(email)
    secret = asha.client.post("/user/2fa/setup", {}).data["secret"]
    factor = pyotp.TOTP(secret)
    codes = asha.client.post("/user/2fa/confirm", {"totp": factor.now()}).data["recoveryCodes"]
    assert len(codes) == len(set(codes)) == 10
    return asha, factor, codes


def later(scene: Scene, asha: SignedIn) -> None:
    """Let the code of this half minute count as unused: half a minute is too long to wait for."""
    scene.stand.change("UPDATE second_factors SET last_step = 0 WHERE account_id = $1", asha.account_id)


def test_a_password_reset_ends_every_session_and_keeps_the_second_factor(scene: Scene) -> None:
    email = "reset@example.com"
    asha, factor, _ = enrolled(scene, email)
    assert scene.nobody.post("/auth/forgot-password", {"email": email}).data == {"accepted": True}
    assert scene.nobody.post("/auth/forgot-password", {"email": "not-there@example.com"}).data == {"accepted": True}
    token = scene.mailed_link(email, "password")
    weak = scene.nobody.post("/auth/reset-password", {"token": token, "newPassword": "short"})
    assert list(weak.details["fields"]) == ["newPassword"]
    assert scene.nobody.post("/auth/reset-password", {"token": token, "newPassword": NEW}).data == {"done": True}
    assert scene.nobody.post("/auth/reset-password", {"token": token, "newPassword": NEW}).refusal[1] == "link_invalid"
    becomes(lambda: asha.client.get("/user/profile"), (401, "session_ended"))
    assert scene.login(email).refusal == (401, "bad_credentials")
    assert scene.login(email, NEW).refusal == (401, "totp_required")
    later(scene, asha)
    assert scene.login(email, NEW, totp=factor.now()).status == 200


def test_a_changed_password_ends_the_other_sessions(scene: Scene) -> None:
    email = "changed@example.com"
    asha = scene.stand.signed_in(email)
    other = Client(scene.stand.port, token=scene.login(email).data["accessToken"])
    body = {"currentPassword": NEW, "newPassword": NEW}
    assert asha.client.post("/auth/change-password", body).refusal == (401, "bad_credentials")
    body["currentPassword"] = PASSWORD
    assert asha.client.post("/auth/change-password", body).data == {"done": True}
    becomes(lambda: other.get("/user/profile"), (401, "session_ended"))
    assert asha.client.get("/user/profile").status == 200
    assert scene.login(email, NEW).status == 200


def test_staff_without_a_second_factor_can_only_set_one_up(scene: Scene) -> None:
    root = scene.stand.signed_in("root@example.com", role="owner")
    for path in ("/user/profile", "/user/balance", "/user/sessions", "/user/api-keys"):
        assert root.client.get(path).refusal == (403, "second_factor_missing"), path
    assert root.client.post("/auth/get-number", TELEGRAM).refusal == (403, "second_factor_missing")
    secret = root.client.post("/user/2fa/setup", {}).data["secret"]
    assert root.client.post("/user/2fa/confirm", {"totp": "000000"}).refusal == (401, "totp_invalid")
    assert root.client.post("/user/2fa/confirm", {"totp": pyotp.TOTP(secret).now()}).status == 200
    time.sleep(1.0)
    assert root.client.get("/user/profile").data["role"] == "owner"
    assert root.client.post("/user/2fa/disable", {"totp": "000000"}).refusal == (403, "second_factor_obligatory")
    assert scene.login("root@example.com").refusal == (401, "totp_required")


def test_a_code_of_the_second_factor_works_once(scene: Scene) -> None:
    email = "totp@example.com"
    asha, factor, _ = enrolled(scene, email)
    assert scene.login(email, totp=factor.now()).refusal == (401, "totp_invalid"), "it confirmed the factor"
    later(scene, asha)
    code = factor.now()
    assert scene.login(email, totp=code).status == 200
    assert scene.login(email, totp=code).refusal == (401, "totp_invalid")


def test_a_recovery_code_works_once(scene: Scene) -> None:
    email = "recovery@example.com"
    _, _, codes = enrolled(scene, email)
    assert scene.login(email, totp=codes[0].upper().replace("-", " ")).status == 200
    assert scene.login(email, totp=codes[0]).refusal == (401, "totp_invalid")
    assert scene.login(email, totp=codes[1]).status == 200


def test_codes_are_limited_for_the_account_whatever_the_session(scene: Scene) -> None:
    email = "guessed@example.com"
    enrolled(scene, email)
    seen = [scene.login(email, totp="000000").refusal[0] for _ in range(5)]
    assert seen == [401, 401, 401, 429, 429]


def test_a_key_works_only_from_its_addresses(scene: Scene) -> None:
    asha = scene.stand.signed_in("places@example.com")
    body = {"name": "bot", "scopes": ["read"], "allowedIps": ["203.0.113.0/24", "2001:db8::/32"]}
    made = asha.client.post("/user/api-keys", body).data
    bot = Client(scene.stand.port, key=made["secret"])
    assert bot.get("/user/balance").refusal == (403, "ip_not_allowed")
    assert bot.get("/user/balance", X_Forwarded_For="203.0.113.7").status == 200
    assert bot.get("/user/balance", X_Forwarded_For="2001:db8::1").status == 200
    assert bot.get("/user/balance", X_Forwarded_For="203.0.113.7, 198.51.100.1").refusal == (403, "ip_not_allowed")
    assert bot.get("/user/balance", X_Forwarded_For="rubbish").refusal == (403, "ip_not_allowed")
    bad = asha.client.post("/user/api-keys", body | {"allowedIps": ["everywhere"]})
    assert list(bad.details["fields"]) == ["allowedIps"]


def test_a_rotated_key_works_beside_its_successor_until_its_time(scene: Scene) -> None:
    asha = scene.stand.signed_in("rotated@example.com")
    old = asha.client.post("/user/api-keys", {"name": "bot", "scopes": ["read", "order"]}).data
    new = asha.client.post(f"/user/api-keys/{old['id']}/rotate", {"overlapHours": 1}).data
    clients = [Client(scene.stand.port, key=key["secret"]) for key in (old, new)]
    assert [client.get("/user/balance").status for client in clients] == [200, 200]
    again = asha.client.post(f"/user/api-keys/{old['id']}/rotate", {})
    assert again.refusal == (409, "key_already_rotated")
    listed = {item["id"]: item for item in asha.client.get("/user/api-keys").data["items"]}
    assert listed[old["id"]]["replacedBy"] == new["id"]
    assert old["secret"] not in str(listed)
    scene.stand.change(
        "UPDATE api_keys SET expires_at = now(), changed_at = clock_timestamp() WHERE id = $1", old["id"]
    )
    becomes(lambda: clients[0].get("/user/balance"), (401, "bad_api_key"))
    assert clients[1].get("/user/balance").status == 200
    assert asha.client.send("DELETE", f"/user/api-keys/{new['id']}").data == {"done": True}
    becomes(lambda: clients[1].get("/user/balance"), (401, "bad_api_key"))


def test_a_customer_cannot_give_a_key_the_rights_of_staff(scene: Scene) -> None:
    asha = scene.stand.signed_in("greedy@example.com")
    for scope in ("admin:owner", "account", "enrol", "everything"):
        answer = asha.client.post("/user/api-keys", {"name": "x", "scopes": ["read", scope]})
        assert answer.refusal == (400, "invalid_request"), scope


def test_new_terms_must_be_accepted_before_the_next_purchase(scene: Scene) -> None:
    email = "terms@example.com"
    register(scene, email)
    scene.nobody.post("/auth/verify-email", {"token": scene.mailed_link(email, "Confirm")})
    asha = Client(scene.stand.port, token=scene.login(email).data["accessToken"])
    scene.stand.portal.call(accounts.publish_terms, scene.stand.site.db, "New terms, for the test of terms.")
    time.sleep(1.0)
    assert asha.post("/auth/get-number", TELEGRAM).refusal == (403, "terms_not_accepted")
    version = scene.nobody.get("/terms").data["version"]
    assert asha.post("/user/accept-terms", {"version": version - 1}).refusal == (400, "invalid_request")
    assert asha.post("/user/accept-terms", {"version": version}).data == {"done": True}
    time.sleep(1.0)
    assert asha.post("/auth/get-number", TELEGRAM).refusal[1] == "insufficient_balance"


def test_a_stranger_cannot_lock_the_owner_out(scene: Scene) -> None:
    email = "victim@example.com"
    scene.stand.signed_in(email)
    body = {"email": email, "password": NEW}
    seen = [
        scene.nobody.post("/auth/login", body, X_Forwarded_For=f"203.0.113.{number}").status for number in range(60)
    ]
    assert seen == [401] * 49 + [429] * 11, "strangers of many networks are stopped together"
    assert scene.login(email).status == 200, "the owner's network is known"


def test_a_profile_is_changed_in_part_and_its_phone_is_sealed(scene: Scene) -> None:
    asha = scene.stand.signed_in("profile@example.com")
    json_type = {"Content-Type": "application/json"}
    body = b'{"name":"Asha","phone":"98765 43210","timezone":"Europe/Berlin"}'
    changed = asha.client.send("PUT", "/user/profile", body=body, headers=json_type).data
    assert (changed["name"], changed["phone"], changed["language"]) == ("Asha", "+919876543210", "en")
    assert asha.client.get("/user/profile").data == changed
    sealed = scene.stand.ask("SELECT phone FROM accounts WHERE id = $1", asha.account_id)
    assert b"9876543210" not in sealed
    for bad, field in (
        (b'{"phone":"12"}', "phone"),
        (b'{"timezone":"Mars/One"}', "timezone"),
        (b'{"role":"owner"}', "role"),
    ):
        answer = asha.client.send("PUT", "/user/profile", body=bad, headers=json_type)
        assert list(answer.details["fields"]) == [field]


def test_every_security_event_is_recorded(scene: Scene) -> None:
    email = "events@example.com"
    asha, _, _ = enrolled(scene, email)
    scene.login(email, NEW)
    key = asha.client.post("/user/api-keys", {"name": "bot", "scopes": ["read"]}).data
    asha.client.send("DELETE", f"/user/api-keys/{key['id']}")
    asha.client.send("DELETE", "/user/sessions")
    found = scene.stand.ask("SELECT array_agg(DISTINCT action) FROM audit_log WHERE account_id = $1", asha.account_id)
    assert set(found) >= {
        "password_set", "login", "login_failed", "second_factor_on", "api_key_made", "api_key_revoked",
        "sessions_ended",
    }  # fmt: skip


def test_an_account_above_its_requests_a_minute_is_told_when_to_come_back(scene: Scene) -> None:
    asha = scene.stand.signed_in("busy@example.com")
    scene.stand.change(
        "UPDATE accounts SET api_per_minute = 3, changed_at = clock_timestamp() WHERE id = $1", asha.account_id
    )
    answers = [asha.client.get("/user/balance") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert [answer.headers.get("ratelimit-limit") for answer in answers] == ["3"] * 4
    assert 0 < int(answers[3].headers["retry-after"]) <= 60
    assert asha.client.post("/auth/check-otp", {"orderId": 1}).refusal == (429, "too_many_requests")


def test_when_and_from_where_keys_and_devices_were_used_is_written_down(scene: Scene) -> None:
    asha = scene.stand.signed_in("used@example.com")
    made = asha.client.post("/user/api-keys", {"name": "bot", "scopes": ["read"]}).data
    Client(scene.stand.port, key=made["secret"]).get("/user/balance", X_Forwarded_For="203.0.113.9")
    scene.stand.portal.call(scene.stand.site.people.ring.write_uses)
    (key,) = asha.client.get("/user/api-keys").data["items"]
    assert (key["lastUsedIp"], key["lastUsedAt"] is not None) == ("203.0.113.9", True)
    assert {item["ip"] for item in asha.client.get("/user/ips").data["items"]} == {"127.0.0.1", "203.0.113.9"}


def test_a_header_for_a_proxy_in_front_does_not_disturb_a_key(scene: Scene) -> None:
    customer = scene.stand.customer()
    assert customer.get("/user/balance", Authorization="Basic dXNlcjpwYXNz").status == 200
    assert scene.nobody.get("/user/balance", Authorization="Basic dXNlcjpwYXNz").refusal[1] == "credentials_missing"
