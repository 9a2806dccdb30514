"""E-mail addresses: disguises that are refused, keys that agree, and whose word about a domain counts."""

import unicodedata

import pytest
from disposable_email_domains import blocklist
from hypothesis import example, given, settings
from hypothesis import strategies as st

from numberdesk.accounts import addresses
from numberdesk.base.errors import InvalidFields

LABEL = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True)
LOCAL = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,12}(\.[A-Za-z0-9+_-]{1,12}){0,3}", fullmatch=True)
DOMAIN = st.one_of(
    st.sampled_from(
        ["gmail.com", "GoogleMail.com", "example.co.uk", "bücher.example", "xn--bcher-kva.example", "a.test"]
    ),
    st.builds("{}.{}.com".format, LABEL, LABEL),
)
ADDRESS = st.builds("{}@{}".format, LOCAL, DOMAIN)


def parsed(text: str) -> addresses.Address | None:
    try:
        return addresses.parse(text, allow_test=True)
    except InvalidFields as refusal:
        fields = list(refusal.fields)
    assert fields == ["email"]
    return None


@pytest.mark.parametrize(
    "text",
    [
        "a@p\u0430ypal.com",  # a Cyrillic letter among Latin ones
        "a@xn--pypal-4ve.com",  # the same, as the network writes it
        "a@\u0440\u0430\u0443pal.com",
        "a@\u03bfutlook.com",
        "a@\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com",
        "a@\u2149xample.com",
        "a@\u24d4xample.com",
        "a@example\u3002com",
        "a@example\uff0ecom",
        "a@exa\u200bmple.com",
        "a@exa\u200dmple.com",
        "a@exa\u00admple.com",
        "a@exa\ufeffmple.com",
        "a@\u202emoc.elpmaxe",
        "a\u200b@example.com",
        "a\uff20example.com",
        "a\ufe6bexample.com",
        "\uff41@example.com",
        "a@example.com\u202c",
        "a@xn--a.com",
        "a@\ud800.com",
        "\ud800@example.com",
    ],
)
def test_an_address_that_looks_like_another_one_is_refused(text: str) -> None:
    assert parsed(text) is None
    assert addresses.key_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *(f"a{sign}b@example.com" for sign in "\0\n\r\t\x7f\x1b\x85\u2028 ,;:<>()[]\\\""),
        *(f"a@exa{sign}mple.com" for sign in "\0\n\r\t\x7f\x85\u2028 ,;:<>()[]\\\"_/"),
        *(f"{sign}a@example.com" for sign in " \n\t\u00a0"),
        *(f"a@example.com{sign}" for sign in " \n\t\u00a0."),
        "a@b@example.com", "+tag@gmail.com", "+@googlemail.com", "a@1.2.3.4", "a@[::1]", "a@localhost", "a@x.onion",
        "a@x.local", "a@x.invalid", "a@example.com>", "a@xn--.com", "a@aa--bb.com",
        "a@" + "b" * 64 + ".com", "x" * 243 + "@example.com", "@" * 254, "@" * 100_000,
    ],
)  # fmt: skip
def test_what_mail_cannot_be_sent_to_is_refused(text: str) -> None:
    assert parsed(text) is None
    assert addresses.key_of(text) is None


@pytest.mark.parametrize(
    ("text", "shown", "key"),
    [
        ("Asha.K@Example.COM", "Asha.K@example.com", "asha.k@example.com"),
        ("Asha.K+x+y@GoogleMail.com", "Asha.K+x+y@googlemail.com", "ashak@gmail.com"),
        ("a.b+c@mail.gmail.com", "a.b+c@mail.gmail.com", "a.b+c@mail.gmail.com"),
        ("a@b\u00fccher.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("a@bu\u0308CHER.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("a@हिन्दी.example", "a@xn--j2bd4cyah0f.example", "a@xn--j2bd4cyah0f.example"),
        ("a@日本語ドメイン.example", "a@xn--eckwd4c7c5976acvb2w6i.example", "a@xn--eckwd4c7c5976acvb2w6i.example"),
    ],
)
def test_an_address_is_shown_as_it_was_given_and_its_domain_in_ascii(text: str, shown: str, key: str) -> None:
    found = addresses.parse(text)
    assert (found.shown, found.key) == (shown, key)
    assert found.domain == shown.partition("@")[2]
    assert found.shown.isascii()


@given(ADDRESS)
@example("a.b+c@gmail.com")
@settings(deadline=None, max_examples=100)
def test_the_key_to_look_up_is_the_key_that_was_stored(text: str) -> None:
    found = parsed(text)
    assert addresses.key_of(text) == (found.key if found else None)
    if found:
        for spelling in (found.shown, found.key, text.swapcase(), text.upper()):
            assert addresses.key_of(spelling) == found.key


@given(
    st.one_of(st.text(st.characters()), st.builds("{}@{}".format, st.text(st.characters()), st.text(st.characters())))
)
@settings(deadline=None, max_examples=100)
def test_any_text_is_an_address_in_plain_signs_or_none(text: str) -> None:
    found = parsed(text)
    assert found is None or (found.key.isascii() and unicodedata.is_normalized("NFKC", found.shown))
    addresses.key_of(text)


def test_the_domains_above_one_are_named_nearest_first() -> None:
    assert addresses.parents("a.b.co.uk") == ["a.b.co.uk", "b.co.uk", "co.uk"]
    assert addresses.parents("example.com") == ["example.com"]


@pytest.mark.parametrize(
    "domain", ["gmail.com", "outlook.com", "yahoo.co.in", "proton.me", "icloud.com", "rediffmail.com"]
)
def test_mailboxes_that_people_keep_are_not_disposable(domain: str) -> None:
    assert not addresses.is_disposable(domain, allowed=(), denied=())
    assert addresses.is_disposable(domain, allowed=(), denied=[domain])


def test_the_packaged_list_is_long_and_written_as_domains_are() -> None:
    assert len(blocklist) > 3000
    assert all(domain.isascii() and domain == domain.lower() for domain in blocklist)
    for domain in sorted(blocklist)[::500]:
        assert addresses.is_disposable(f"mx.{domain}", allowed=(), denied=())
        assert not addresses.is_disposable(f"mx.{domain}", allowed=[domain], denied=())
        assert not addresses.is_disposable(f"not{domain}.example.org", allowed=(), denied=())
