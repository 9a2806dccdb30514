"""The pages that links in mails lead to: only files of ours, a strict policy, and nothing used up by looking."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from numberdesk.console._mail_pages import FILES
from tests.http import stand as stands
from tests.http.stand import PASSWORD, SECURITY, Answer, Client, Stand
from tests.notifications.mailbox import Mailbox, mailbox

PAGES = ("/verify-email", "/reset-password")
ASSETS = {"/mail/page.css": "text/css; charset=utf-8", "/mail/mail.js": "text/javascript; charset=utf-8"}
BASE = "https://numbers.test"
LINK = re.compile(rf"{BASE}(/[a-z-]+)#token=([A-Za-z0-9_-]{{43}})")
FOREIGN = re.compile(r"(?i)https?:|wss?:|[\"'(=`]//")
NEW = "another-good-sentence"


class Page(HTMLParser):
    """Collects what a page loads, what the policy would forbid, and which fields and labels it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.posts: list[str] = []
        self.fields: set[str] = set()
        self.labelled: set[str] = set()
        self.live = 0
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: text or "" for name, text in attrs}
        self._tag = tag
        self.loaded += [given[name] for name in ("src", "href", "action", "formaction") if name in given]
        self.posts += [given["data-post"]] if "data-post" in given else []
        self.inline += [f"<{tag} {name}>" for name in given if name.startswith("on") or name == "style"]
        self.inline += [f"<{tag}>"] if tag in ("style", "base", "iframe", "object", "embed") else []
        self.live += given.get("aria-live") == "polite"
        if tag == "input":
            self.fields.add(given["id"])
        elif tag == "label":
            self.labelled.add(given["for"])

    def handle_data(self, data: str) -> None:
        if self._tag == "script" and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""


@dataclass(frozen=True)
class Scene:
    """A site that sends its mails to a real server, and the mailbox of everybody."""

    stand: Stand
    box: Mailbox

    @property
    def nobody(self) -> Client:
        return self.stand.nobody

    def link(self, to: str, subject: str) -> tuple[str, str]:
        """Wait for a mail; returns the page its link leads to, and the token."""
        message = self.stand.portal.call(lambda: self.box.next(to=to, subject_part=subject, patience=8))
        body: Any = message.get_body(("plain",))
        found = LINK.search(str(body.get_content()))
        assert found
        return found[1], found[2]

    def live_tokens(self, email: str) -> int:
        count: int = self.stand.ask(
            "SELECT count(*) FROM mail_tokens WHERE email_key = $1 AND used_at IS NULL AND ended_at IS NULL", email
        )
        return count


@pytest.fixture(scope="module")
def scene(portal: BlockingPortal, cluster: Cluster) -> Iterator[Scene]:
    with (
        portal.wrap_async_context_manager(mailbox()) as box,
        stands.opened(
            portal, cluster, smtp_host="127.0.0.1", smtp_port=box.port, smtp_security="none",
            mail_from="Numberdesk <desk@example.com>", public_base_url=BASE,
        ) as stand,
    ):  # fmt: skip
        yield Scene(stand, box)


def policy_of(answer: Answer) -> dict[str, list[str]]:
    parts = answer.headers["content-security-policy"].split(";")
    return {words[0]: words[1:] for part in parts if (words := part.split())}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_only_what_this_site_serves_under_a_strict_policy(scene: Scene, path: str) -> None:
    answer = scene.nobody.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = policy_of(answer)
    nothing = ("default-src", "frame-ancestors", "base-uri", "form-action")
    assert [policy.pop(name) for name in nothing] == [["'none'"]] * 4
    assert policy.pop("require-trusted-types-for") == ["'script'"]
    assert policy == {name: ["'self'"] for name in ("script-src", "style-src", "connect-src")}
    others = {name: text for name, text in SECURITY.items() if name != "content-security-policy"}
    assert {name: answer.headers[name] for name in others} == others
    assert answer.headers["cache-control"] == "no-store"
    page = Page(answer.body.decode())
    assert sorted(page.loaded) == sorted(ASSETS)
    assert page.inline == []
    assert not FOREIGN.search(answer.body.decode())


@pytest.mark.parametrize("path", PAGES)
def test_a_page_can_be_used_by_everybody(scene: Scene, path: str) -> None:
    text = scene.nobody.get(path).body.decode()
    page = Page(text)
    assert page.fields == page.labelled
    assert page.live == 1
    assert '<html lang="en">' in text
    assert "width=device-width, initial-scale=1" in text
    assert re.search(r"<noscript>.*six digits of the mail.*</noscript>", text)


@pytest.mark.parametrize("path", PAGES)
def test_a_form_posts_to_a_call_that_is_there(scene: Scene, path: str) -> None:
    page = Page(scene.nobody.get(path).body.decode())
    assert len(page.posts) == 2
    for target in page.posts:
        assert scene.nobody.post(target, {"nothing": 1}).refusal == (400, "invalid_request"), target


@pytest.mark.parametrize(("path", "kind"), ASSETS.items())
def test_the_files_of_the_pages_are_served_for_an_hour(scene: Scene, path: str, kind: str) -> None:
    answer = scene.nobody.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.body == (FILES / path.rpartition("/")[2]).read_bytes()
    assert len(answer.body) < 4096, "it is for slow phones"
    assert not FOREIGN.search(answer.body.decode())


def test_only_the_two_files_are_served_from_there(scene: Scene) -> None:
    for path in ("/mail/", "/mail/nothing.js", "/mail/../vendor/manifest.sha384", "/mail/%2e%2e/routes.py"):
        assert scene.nobody.get(path).refusal == (404, "not_found"), path


def test_the_script_keeps_the_token_to_itself(scene: Scene) -> None:
    script = scene.nobody.get("/mail/mail.js").body.decode()
    assert 'history.replaceState(null, "", location.pathname)' in script
    for word in ("innerHTML", "outerHTML", "document.write", "eval", "localStorage", "sessionStorage", "cookie"):
        assert word not in script
    assert script.count("fetch(") == 1


def look(scene: Scene, path: str, token: str) -> None:
    """Open a link the ways scanners do, some of which send what stands behind the # too."""
    for address in (path, path + "/", f"{path}?token={token}", f"{path}%23token={token}"):
        assert scene.nobody.get(address).status in (200, 404)
        assert scene.nobody.send("HEAD", address).status in (200, 404, 405)


def test_a_link_is_used_up_by_the_button_and_not_by_looking(scene: Scene) -> None:
    email = "looked-at@example.com"
    scene.nobody.post("/auth/register", {"email": email, "password": PASSWORD, "acceptTerms": True})
    path, token = scene.link(email, "Confirm")
    assert path == "/verify-email"
    look(scene, path, token)
    assert scene.live_tokens(email) == 1
    assert scene.nobody.post("/auth/verify-email", {"token": token}).data == {"verified": True}
    assert scene.live_tokens(email) == 0


def test_a_link_for_a_new_password_is_used_up_by_the_form_and_not_by_looking(scene: Scene) -> None:
    email = "forgot@example.com"
    scene.stand.signed_in(email)
    scene.nobody.post("/auth/forgot-password", {"email": email})
    path, token = scene.link(email, "new password")
    assert path == "/reset-password"
    look(scene, path, token)
    assert scene.live_tokens(email) == 1
    weak = scene.nobody.post("/auth/reset-password", {"token": token, "newPassword": "short"})
    assert list(weak.details["fields"]) == ["newPassword"], "the script finds the form's field by this name"
    assert scene.nobody.post("/auth/reset-password", {"token": token, "newPassword": NEW}).data == {"done": True}
    assert scene.live_tokens(email) == 0
