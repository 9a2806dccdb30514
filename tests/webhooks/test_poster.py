"""Posting to addresses that customers chose: which are refused, where a connection goes, and what a receiver can do."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from numberdesk.base import clock
from numberdesk.notifications.channels import webhook
from numberdesk.notifications.channels.webhook import Poster, is_public, parse
from numberdesk.notifications.model import BadWebhookAddress, NotPosted, Posted
from tests.webhooks import receivers
from tests.webhooks.receivers import receiving

HERE = "127.0.0.1"
BODY = b'{"id":"evt_1_code_1"}'
HEADERS = {"webhook-id": "evt_1_code_1", "Content-Type": "application/json"}
NAME = "hooks.example.com"

PRIVATE = [
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.8.8.8", "169.254.169.254", "0.0.0.0", "100.64.0.1",
    "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.7", "192.88.99.1", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "2606:4700::1111%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "ff0e::1",
    "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1",
    "2002:7f00:1::", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "3fff::1",
    "2001:10::1", "100::1", "5f00::1", "4000::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_of_the_open_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(address)


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


BAD_URLS = [
    "", "hook", "//example.com/hook", "http://example.com/hook", "ftp://example.com", "file:///etc/passwd",
    "https:///hook", "https://", "https:example.com", "javascript:alert(1)", "gopher://example.com:443/",
    "https://example.com:8443/hook", "https://example.com:80/", "https://example.com:0/", "https://example.com:99999/",
    "https://user@example.com/", "https://user:pass@example.com/", "https://:@example.com/", "https://@example.com/",
    "https://example.com@127.0.0.1/", "https://127.0.0.1\\@example.com/", "https://example.com#@127.0.0.1/",
    "https://example.com/#part", "https://example.com/#", "https://example.com/a b", "https://example.com/\r\nHost: x",
    "https://example.com/\x00", "https://exa\tmple.com/", "https://example.com/" + "a" * 2000, "https://ex\u00e4mple.com/",
    "https://\uff11\uff12\uff17.0.0.1/", "https://127\u30020.0.1/", "https://localhost/", "https://metadata/",
    "https://-example.com/", "https://example..com/", "https://.example.com/", "https://exa%6dple.com/",
    "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://0177.0.0.1/", "https://127.1/",
    "https://127.0.1/", "https://0/", "https://0x7f.0.0.0x1/", "https://017700000001/", "https://127.0.0.1./",
    "https://1.2.3.4.5/", "https://example.1/", "https://example.0x1/", "https://[::1", "https://[]/", "https://[v1.x]/",
    *(f"https://{bracketed(address)}/" for address in PRIVATE),
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_address_is_refused_by_its_text(url: str) -> None:
    with pytest.raises(BadWebhookAddress) as refusal:
        parse(url)
    assert str(refusal.value).split(" ")[0] in ("must", "leads")


@pytest.mark.parametrize(
    "url",
    ["https://example.com", "https://hooks.example.com:443/a/b?c=%20d&e=f", "HTTPS://Example.COM/x",
     "https://xn--exmple-cua.com/", "https://my_hooks.example.com/", "https://example.com./", "https://8.8.8.8/",
     "https://[2606:4700:4700::1111]/hook"],
)  # fmt: skip
def test_a_public_address_is_taken(url: str) -> None:
    assert parse(url).scheme == "https"


@pytest.mark.parametrize("url", ["http://10.0.0.1:8080/", "http://[::ffff:127.0.0.1]:80/", "http://169.254.169.254/"])
def test_where_this_machine_is_allowed_nothing_else_private_is(url: str) -> None:
    with pytest.raises(BadWebhookAddress):
        parse(url, allows_loopback=True)
    assert parse("http://127.0.0.1:8080/", allows_loopback=True).port == 8080


class Names:
    """A name server: each question gets the next answer, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def look_up(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise OSError("no such name")
        return answer


@pytest.fixture
async def poster() -> AsyncIterator[Poster]:
    poster = Poster(allows_loopback=True)
    yield poster
    await poster.close()


async def post(poster: Poster, url: str) -> tuple[Posted | NotPosted, float]:
    """Post, and return the outcome with the seconds it took."""
    began = clock.seconds()
    outcome = await poster.post(url, headers=HEADERS, body=BODY)
    return outcome, clock.seconds() - began


@pytest.mark.anyio
async def test_the_bytes_arrive_as_they_are(poster: Poster) -> None:
    async with receiving(receivers.answering(204, body=b"")) as receiver:
        outcome, _ = await post(poster, receiver.url + "?a=%20b")
    assert isinstance(outcome, Posted)
    assert outcome.status == 204
    (got,) = receiver.got
    assert (got.path, got.body) == ("/hook?a=%20b", BODY)
    assert got.headers["webhook-id"] == "evt_1_code_1"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert not {"cookie", "authorization", "x-api-key"} & got.headers.keys()


@pytest.mark.anyio
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(poster: Poster, status: int) -> None:
    async with receiving(receivers.answering()) as elsewhere:
        conduct = receivers.answering(
            status, headers=f"Location: {elsewhere.url}\r\nRefresh: 0; url={elsewhere.url}\r\n"
        )
        async with receiving(conduct) as receiver:
            outcome, _ = await post(poster, receiver.url)
    assert isinstance(outcome, Posted)
    assert outcome.status == status
    assert (len(receiver.got), elsewhere.got) == (1, [])


@pytest.mark.anyio
@pytest.mark.parametrize("conduct", [receivers.hang, receivers.drip_head, receivers.continue_for_ever])
async def test_a_receiver_that_comes_to_no_status_is_given_up(
    poster: Poster, monkeypatch: pytest.MonkeyPatch, conduct: receivers.Conduct
) -> None:
    monkeypatch.setattr(webhook, "DEADLINE", 0.5)
    async with receiving(conduct) as receiver:
        outcome, seconds = await post(poster, receiver.url)
        assert isinstance(outcome, NotPosted)
        assert outcome.reason.startswith("no answer within")
        assert 0.4 < seconds < 3
        await asyncio.sleep(0.3)
        assert receiver.open == 0 or conduct is receivers.hang, "the connection is closed"


@pytest.mark.anyio
async def test_a_name_that_nobody_answers_for_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "DEADLINE", 0.3)

    async def never(_host: str) -> Sequence[str]:
        await asyncio.sleep(60)
        raise AssertionError

    poster = Poster(look_up=never)
    outcome, seconds = await post(poster, f"https://{NAME}/")
    assert isinstance(outcome, NotPosted)
    assert seconds < 3
    with pytest.raises(BadWebhookAddress, match="cannot be found"):
        await poster.check(f"https://{NAME}/")
    await poster.close()


@pytest.mark.anyio
async def test_two_gigabytes_are_not_read(poster: Poster) -> None:
    async with receiving(receivers.flood) as receiver:
        outcome, seconds = await post(poster, receiver.url)
        assert isinstance(outcome, Posted)
        assert outcome.status == 200
        assert seconds < 3
        await asyncio.sleep(0.3)
        # What the system's buffers hold has left too, but nobody reads on.
        assert (receiver.open, receiver.sent < 2**25) == (0, True)


@pytest.mark.anyio
async def test_a_body_that_drips_changes_no_success_and_is_not_waited_for(poster: Poster) -> None:
    async with receiving(receivers.drip_body) as receiver:
        outcome, seconds = await post(poster, receiver.url)
    assert isinstance(outcome, Posted)
    assert outcome.status == 200
    assert outcome.took_ms < 900
    assert seconds < 4


@pytest.mark.anyio
async def test_a_body_that_is_not_what_it_says_is_not_even_unpacked(poster: Poster) -> None:
    async with receiving(receivers.bomb) as receiver:
        outcome, _ = await post(poster, receiver.url)
    assert isinstance(outcome, Posted)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("conduct", "reason"),
    [(receivers.close, "the connection ended before an answer"), (receivers.talk_nonsense, "")],
)
async def test_what_a_receiver_does_instead_of_answering_is_told_in_our_words(
    poster: Poster, conduct: receivers.Conduct, reason: str
) -> None:
    async with receiving(conduct) as receiver:
        outcome, _ = await post(poster, receiver.url)
    assert isinstance(outcome, NotPosted)
    assert reason in outcome.reason
    assert "ESMTP" not in outcome.reason
    assert len(receiver.got) == 1, "nothing is sent twice"


@pytest.mark.anyio
async def test_nobody_at_the_address_is_told(poster: Poster) -> None:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        port = probe.getsockname()[1]
    outcome, _ = await post(poster, f"http://127.0.0.1:{port}/")
    assert isinstance(outcome, NotPosted)
    assert outcome.reason == "no connection"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer", [["10.0.0.5"], ["8.8.8.8", "10.0.0.5"], ["::ffff:10.0.0.5"], ["64:ff9b::a00:5"], [HERE]]
)
async def test_a_name_that_leads_inside_is_refused_and_nothing_is_connected(
    outside: list[str], answer: list[str]
) -> None:
    names = Names(answer)
    poster = Poster(look_up=names.look_up)
    with pytest.raises(BadWebhookAddress, match="not public"):
        await poster.check(f"https://{NAME}/hook")
    outcome, _ = await post(poster, f"https://{NAME}/hook")
    assert isinstance(outcome, NotPosted)
    assert outcome.reason == "the address leads to an address that is not public"
    assert outside == [], "no connection was even begun"
    await poster.close()


@pytest.mark.anyio
async def test_a_name_that_moves_inside_after_it_was_checked_gets_nothing(outside: list[str]) -> None:
    names = Names([HERE], ["10.0.0.5"])
    async with receiving(receivers.answering()) as receiver:
        poster = Poster(allows_loopback=True, look_up=names.look_up)
        url = f"http://{NAME}:{receiver.port}/hook"
        await poster.check(url)
        outcome, _ = await post(poster, url)
        assert isinstance(outcome, NotPosted)
        assert (receiver.got, outside) == ([], [])
        await poster.close()


@pytest.mark.anyio
async def test_a_name_is_looked_up_once_for_each_post_and_that_is_where_the_post_goes(
    outside: list[str],
) -> None:
    names = Names([HERE], ["10.0.0.5"])
    async with receiving(receivers.answering()) as receiver:
        poster = Poster(allows_loopback=True, look_up=names.look_up)
        outcome, _ = await post(poster, f"http://{NAME}:{receiver.port}/hook")
        assert isinstance(outcome, Posted), "what the name says a moment later does not matter"
        assert names.asked == [NAME]
        assert receiver.got[0].headers["host"] == f"{NAME}:{receiver.port}"
        second, _ = await post(poster, f"http://{NAME}:{receiver.port}/hook")
        assert isinstance(second, NotPosted), "no connection and no answer of before is used again"
        assert (len(receiver.got), outside) == (1, [])
        await poster.close()


@pytest.mark.anyio
async def test_the_receiver_must_prove_its_name(tmp_path: Path) -> None:
    server, client = receivers.certificate_for(NAME, tmp_path)
    names = Names([HERE])
    async with receiving(receivers.answering(), tls=server) as receiver:
        poster = Poster(allows_loopback=True, look_up=names.look_up, tls=client)
        outcome, _ = await post(poster, f"https://{NAME}:{receiver.port}/hook")
        assert isinstance(outcome, Posted)
        assert receiver.names == [NAME]
        wrong, _ = await post(poster, f"https://other.example.com:{receiver.port}/hook")
        assert wrong == NotPosted("its certificate is not valid for this address", wrong.took_ms)
        await poster.close()
        stranger = Poster(allows_loopback=True, look_up=names.look_up)
        unknown, _ = await post(stranger, f"https://{NAME}:{receiver.port}/hook")
        assert unknown == NotPosted("its certificate is not valid for this address", unknown.took_ms)
        await stranger.close()
    assert len(receiver.got) == 1


@pytest.mark.anyio
async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch, poster: Poster) -> None:
    async with receiving(receivers.answering(500)) as proxy, receiving(receivers.answering()) as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        outcome, _ = await post(poster, receiver.url)
    assert isinstance(outcome, Posted)
    assert (outcome.status, proxy.got) == (200, [])


@pytest.mark.anyio
async def test_the_systems_names_are_looked_up_without_holding_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HERE in await webhook.look_up("localhost")
    release = threading.Event()

    def slow(*_: object, **__: object) -> list[Any]:
        assert release.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (HERE, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    monkeypatch.setattr(webhook, "LOOKUPS_MAX", 2)
    waiting = [asyncio.create_task(webhook.look_up(f"slow{number}.example.com")) for number in (1, 2)]
    await asyncio.sleep(0.05)
    with pytest.raises(OSError, match="too many"):
        await webhook.look_up("third.example.com")
    release.set()
    assert await asyncio.gather(*waiting) == [[HERE], [HERE]]
