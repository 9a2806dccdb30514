"""The page for people: only files of ours, under a strict policy; and no file of the program names a foreign host."""

import base64
import gzip
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import numberdesk
from numberdesk.console.routes import VENDOR
from tests.http.stand import SECURITY, Client, Stand

PACKAGE = Path(numberdesk.__file__).parent
MANIFEST = VENDOR / "manifest.sha384"
ADDRESS = re.compile(r"(?:https?:|wss?:|[\"'(=])//(?:[^\s/@'\"]*@)?([A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z0-9-]+)")
HERE = re.compile(r"localhost|127(\.\d+){3}|0\.0\.0\.0|example(\.(com|org|net))?|[\w.-]+\.(example|test|invalid)")
FOREIGN: dict[str, str] = {
    "api.cashfree.com": "a gateway, asked by the server",
    "api.phonepe.com": "a gateway, asked by the server",
    "api.razorpay.com": "a gateway, asked by the server",
    "api.trongrid.io": "a node of TRON, asked by the server",
    "api.telegram.org": "the channel of notices, asked by the server",
    "core.telegram.org": "where its limits and answers are documented",
    "t.me": "where a customer opens the bot",
    "api.coingecko.com": "a source of prices, asked by the server",
    "api.coindcx.com": "a source of prices, asked by the server",
    "api.wazirx.com": "a source of prices, asked by the server",
}
"""Hosts that a file of ours may name, each with the reason."""


class Page(HTMLParser):
    """Collects what a page loads, and what the policy would forbid."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loaded += [text for name in ("src", "href", "action", "poster") if (text := given.get(name))]
        self._script = tag == "script"
        self.inline += [f"<{tag} {name}>" for name in given if name.startswith("on") or name == "style"]
        if tag in ("base", "iframe", "object", "embed", "form", "meta") and "http-equiv" in given:
            self.inline.append(tag)

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._script = False


@pytest.fixture
def page(stand: Stand) -> Page:
    """The page as a stranger gets it."""
    found = Page()
    found.feed(stand.nobody.get("/docs").body.decode())
    return found


def policy_of(client: Client) -> dict[str, list[str]]:
    parts = client.get("/docs").headers["content-security-policy"].split(";")
    return {words[0]: words[1:] for part in parts if (words := part.split())}


def test_the_page_loads_only_what_this_site_serves(stand: Stand, page: Page) -> None:
    assert len(page.loaded) == 4
    for address in page.loaded:
        assert address.startswith("/docs/"), address
        assert urlsplit(address).netloc == ""
        answer = stand.nobody.get(address)
        assert answer.status == 200
        kind = answer.headers["content-type"]
        assert kind in ("text/css; charset=utf-8", "text/javascript; charset=utf-8", "image/png")
    assert page.inline == []


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/api/v1/docs"])
def test_the_page_is_the_same_at_each_of_its_addresses(stand: Stand, path: str) -> None:
    answer = stand.nobody.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.body == stand.nobody.get("/docs").body


def test_its_script_asks_only_this_site(stand: Stand) -> None:
    script = stand.nobody.get("/docs/start.js").body.decode()
    assert "//" not in script
    assert 'url: "/openapi.json"' in script
    assert "validatorUrl: null" in script, "Swagger UI would send the address of the description to its makers"
    assert "persistAuthorization: false" in script


def test_the_policy_of_the_page_is_strict(stand: Stand) -> None:
    policy = policy_of(stand.nobody)
    assert (
        policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == policy["form-action"] == ["'none'"]
    )
    assert policy["script-src"] == policy["connect-src"] == ["'self'"]
    assert policy["img-src"] == ["'self'", "data:"]
    assert policy.keys() <= {
        "default-src", "script-src", "style-src", "img-src", "connect-src", "font-src", "frame-ancestors", "base-uri",
        "form-action",
    }  # fmt: skip
    for name, sources in policy.items():
        assert not {"*", "'unsafe-eval'", "http:", "https:"} & set(sources), name
        assert "'unsafe-inline'" not in sources or name == "style-src"
    headers = stand.nobody.get("/docs").headers
    others = {name: text for name, text in SECURITY.items() if name != "content-security-policy"}
    assert {name: headers[name] for name in others} == others


def test_only_vendored_files_are_served_from_there(stand: Stand) -> None:
    for path in (
        "/docs/swagger-ui-5.35.0/LICENSE", "/docs/swagger-ui-5.35.0/nothing.js", "/docs/../manifest.sha384",
        "/docs/%2e%2e/manifest.sha384", "/docs/swagger-ui-5.35.0/..%2f..%2f..%2froutes.py", "/docs/x/start.js",
        "/docs/swagger-ui-5.35.0/swagger-ui.css%00", "/docs/swagger-ui-5.35.0/",
    ):  # fmt: skip
        assert stand.nobody.get(path).refusal == (404, "not_found"), path


def test_vendored_files_are_the_ones_of_the_manifest(stand: Stand) -> None:
    lines = [line.split() for line in MANIFEST.read_text(encoding="utf-8").splitlines() if line.strip()]
    listed = {name: digest for digest, name in lines}
    found = {path.relative_to(VENDOR).as_posix(): path for path in VENDOR.rglob("*") if path.is_file()}
    del found[MANIFEST.name]
    assert listed.keys() == found.keys()
    for name, path in found.items():
        digest = hashlib.sha384(path.read_bytes())
        assert listed[name] in (digest.hexdigest(), base64.b64encode(digest.digest()).decode()), name
        packed = path.suffix == ".gz"
        if packed or path.suffix in (".js", ".css", ".png"):
            served = stand.nobody.get(f"/docs/{name.removesuffix('.gz')}")
            assert served.body == (gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
            assert "content-encoding" not in served.headers
            assert served.headers["cache-control"] == "public, max-age=31536000, immutable"
        if packed:
            as_stored = stand.nobody.get(f"/docs/{name.removesuffix('.gz')}", Accept_Encoding="gzip")
            assert as_stored.body == path.read_bytes()
            assert as_stored.headers["content-encoding"] == "gzip"
            assert as_stored.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("text", ["https://cdn.example.dev/x.js", "'//cdn.example.dev/x'", "url(//cdn.example.dev)"])
def test_a_foreign_host_is_recognised(text: str) -> None:
    (host,) = ADDRESS.findall(text)
    assert not HERE.fullmatch(host)


def test_no_file_of_the_program_names_a_foreign_host() -> None:
    found = {}
    paths = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".html", ".js", ".css", ".csv", ".sql")]
    assert len(paths) > 100
    for path in paths:
        if not path.is_relative_to(VENDOR):
            for host in ADDRESS.findall(path.read_text(encoding="utf-8")):
                if not HERE.fullmatch(host) and host not in FOREIGN:
                    found[path.relative_to(PACKAGE).as_posix()] = host
    assert found == {}
