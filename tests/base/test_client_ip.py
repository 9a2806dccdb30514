"""Who really calls: what a caller writes into `X-Forwarded-For` never chooses his address."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as some

from numberdesk.base.client_ip import HOPS_MAX, UNKNOWN, TrustedProxies, client_ip, network_of

PROXIES = TrustedProxies("127.0.0.1, 10.0.0.0/8, ::1, fd00::/8")
PEER = "10.0.0.1"
CALLER = "203.0.113.7"
SPOOFED = "198.51.100.66"

CASES: dict[str, tuple[str, list[bytes | str], str]] = {
    # A peer that is none of our proxies is believed nothing.
    "a stranger names somebody": (CALLER, [SPOOFED], CALLER),
    "a stranger names a proxy of ours": (CALLER, ["10.0.0.1"], CALLER),
    "a stranger names himself as this machine": (CALLER, ["127.0.0.1", "127.0.0.1"], CALLER),
    "a stranger beside our network": ("11.0.0.1", [SPOOFED], "11.0.0.1"),
    "a stranger of the other kind, with the bits of ours": ("::10.0.0.1", [SPOOFED], "::a00:1"),
    "a stranger that is mapped": (f"::ffff:{CALLER}", [SPOOFED], CALLER),
    "a peer without an address": ("", [SPOOFED], UNKNOWN),
    "a peer that is a path": ("/run/numberdesk.sock", [SPOOFED], UNKNOWN),
    # What the caller sent stands left of what our proxies wrote.
    "one proxy, and nothing before": (PEER, [CALLER], CALLER),
    "a spoofed hop before": (PEER, [f"{SPOOFED}, {CALLER}"], CALLER),
    "a spoofed proxy of ours before": (PEER, [f"10.9.9.9, {CALLER}"], CALLER),
    "this machine spoofed before": (PEER, [f"127.0.0.1,{CALLER}"], CALLER),
    "two proxies of ours behind": (PEER, [f"{SPOOFED}, {CALLER}, 10.1.1.1, 127.0.0.1"], CALLER),
    "a spoofed line of its own before": (PEER, [SPOOFED, CALLER], CALLER),
    "a spoofed line, and a line of each proxy": (PEER, [f"{SPOOFED}, 10.0.0.9", CALLER, "10.1.1.1"], CALLER),
    "lines as bytes": (PEER, [SPOOFED.encode(), CALLER.encode()], CALLER),
    "a proxy of ours between two strangers": (PEER, [f"{SPOOFED}, 10.0.0.9, {CALLER}"], CALLER),
    "only proxies of ours": (PEER, ["10.0.0.7, 10.0.0.8"], "10.0.0.7"),
    "a mapped proxy is a proxy": ("::ffff:10.0.0.1", [f"{SPOOFED}, {CALLER}, ::ffff:127.0.0.1"], CALLER),
    "a proxy with IPv6": ("fd00::5", [f"{SPOOFED}, 2001:DB8::0:1, ::1"], "2001:db8::1"),
    # Nonsense ends the walk: the hop that passed it on is the caller.
    "nonsense alone": (PEER, ["unknown"], PEER),
    "nonsense behind a spoofed hop": (PEER, [f"{SPOOFED}, <script>, 10.0.0.8"], "10.0.0.8"),
    "nonsense before the caller": (PEER, [f"unknown, {CALLER}"], CALLER),
    "bytes that are no text": (PEER, [b"\xff\xfe\x00", b"10.0.0.8"], "10.0.0.8"),
    "digits of another script": (PEER, ["\u0661.2.3.4"], PEER),
    "a number with zeros in front": (PEER, ["010.1.1.1"], PEER),
    "a number instead of an address": (PEER, ["3405803783"], PEER),
    "a hexadecimal address": (PEER, ["0xcb.0.113.7"], PEER),
    "a network": (PEER, [f"{CALLER}/32"], PEER),
    "a name": (PEER, ["localhost"], PEER),
    "two addresses without a comma": (PEER, [f"{SPOOFED} {CALLER}"], PEER),
    "a line break in it": (PEER, [f"{CALLER}\n"], PEER),
    "a null in it": (PEER, [f"{CALLER}\0"], PEER),
    "a port that is none": (PEER, [f"{CALLER}:http"], PEER),
    "a port too many": (PEER, [f"{CALLER}:80:80"], PEER),
    "half a bracket": (PEER, ["[2001:db8::1"], PEER),
    "empty brackets": (PEER, ["[]:80"], PEER),
    "an endless hop": (PEER, ["1" * 100_000], PEER),
    # Other ways to write an address.
    "a port": (PEER, [f"{SPOOFED}:1, {CALLER}:555"], CALLER),
    "brackets and a port": (PEER, ["[2001:db8::1]:80"], "2001:db8::1"),
    "brackets alone": (PEER, ["[2001:db8::1]"], "2001:db8::1"),
    "a bare IPv6 address that ends like a port": (PEER, ["2001:db8::80"], "2001:db8::80"),
    "a mapped address": (PEER, [f"::ffff:{CALLER}"], CALLER),
    "a mapped address in numbers, with a port": (PEER, ["[::FFFF:cb00:7107]:443"], CALLER),
    "a zone": (PEER, ["fe80::1%eth0"], "fe80::1"),
    "a zone in brackets": (PEER, ["[fe80::1%25eth0]:80"], "fe80::1"),
    "blanks and tabs": (PEER, [f"{SPOOFED} ,\t {CALLER} \t"], CALLER),
    "empty items": (PEER, [f",, {SPOOFED},, {CALLER} ,, ,", "", " , "], CALLER),
    "nothing but empty items": (PEER, ["", " , ,"], PEER),
    "no lines": (PEER, [], PEER),
    # Too long a list.
    "many hops before": (PEER, [f"{SPOOFED}, " * 5_000 + CALLER], CALLER),
    "the last hop that is looked at": (PEER, [CALLER + ", 10.0.0.2" * (HOPS_MAX - 1)], CALLER),
    "a hop too far": (PEER, [CALLER + ", 10.0.0.2" * HOPS_MAX], "10.0.0.2"),
    "many hops in many lines": (PEER, [SPOOFED, *["10.0.0.2"] * 5_000], "10.0.0.2"),
}


@pytest.mark.parametrize(("peer", "forwarded", "expected"), CASES.values(), ids=CASES)
def test_the_caller_is_the_first_from_the_right_that_is_no_proxy_of_ours(
    peer: str, forwarded: list[bytes | str], expected: str
) -> None:
    assert client_ip(peer, forwarded, PROXIES) == expected


@pytest.mark.parametrize(("peer", "forwarded", "_"), CASES.values(), ids=CASES)
def test_without_proxies_nothing_that_is_sent_changes_the_caller(
    peer: str, forwarded: list[bytes | str], _: str
) -> None:
    assert client_ip(peer, forwarded, TrustedProxies()) == client_ip(peer, [], PROXIES)


@given(some.text(), some.lists(some.one_of(some.text(), some.binary())))
def test_whatever_is_sent_the_answer_is_an_address_in_its_one_way_to_write_it(
    peer: str, forwarded: list[bytes | str]
) -> None:
    for place in (peer, "10.0.0.1"):
        found = client_ip(place, forwarded, PROXIES)
        assert str(ip_address(found)) == found
        assert "/" in network_of(peer)


@given(some.lists(some.sampled_from([SPOOFED, "10.0.0.9", "127.0.0.1", "unknown", "", CALLER])))
def test_nothing_left_of_the_caller_matters(sent: list[str]) -> None:
    assert client_ip(PEER, [", ".join(sent), f"{CALLER}, 10.0.0.2"], PROXIES) == CALLER


@pytest.mark.parametrize(
    ("text", "sentence"),
    {
        "*": "would believe everybody",
        "0.0.0.0/0": "would believe everybody",
        "::/0": "would believe everybody",
        "::ffff:0:0/96": "would believe everybody",
        "10.0.0.1/8": "did you mean 10.0.0.0/8",
        "2001:db8::1/64": "did you mean 2001:db8::/64",
        "10.0.0.0/33": "is no IP address",
        "10.0.0": "is no IP address",
        "localhost": "is no IP address",
        "127.0.0.1 10.0.0.1": "is no IP address",
        "127.0.0.1, proxy": '"proxy" is no IP address',
        "1.2.3.4:80": "is no IP address",
    }.items(),
)
def test_proxies_that_cannot_be_meant_are_refused_with_words(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        TrustedProxies(text)


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_no_proxies_trust_nobody(text: str) -> None:
    proxies = TrustedProxies(text)
    assert not proxies
    assert not proxies.trusts("127.0.0.1")


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
        (" 127.0.0.1 ,10.0.0.0/8,", "10.255.0.1", "11.0.0.1"),
        ("10.0.0.0/255.0.0.0", "10.1.2.3", "11.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.1"),
        ("::ffff:1.2.3.4", "1.2.3.4", "1.2.3.5"),
        ("2001:DB8::/32", "2001:db8:1::1", "2001:db9::1"),
        ("2001:db8:0::1", "2001:db8::1", "2001:db8::2"),
    ],
)
def test_proxies_are_addresses_and_networks_in_any_way_to_write_them(text: str, inside: str, outside: str) -> None:
    proxies = TrustedProxies(text)
    assert proxies
    assert (proxies.trusts(inside), proxies.trusts(outside)) == (True, False)


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::6", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense", f"{UNKNOWN}/32"),
    ],
)
def test_limits_count_an_ipv4_address_and_a_whole_network_of_ipv6(ip: str, network: str) -> None:
    assert network_of(ip) == network
