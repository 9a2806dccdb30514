"""E-mail addresses: their syntax, which of them are one mailbox, and which domains are thrown away after use."""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from disposable_email_domains import blocklist
from email_validator import EmailNotValidError, validate_email

from numberdesk.base.errors import InvalidFields

ADDRESS_MAX, LOCAL_MAX = 254, 64
"""Source: RFC 5321, 4.5.3.1."""
GOOGLE = ("gmail.com", "googlemail.com")
"""Where dots, and what follows a plus, change nothing."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address that mail can be sent to; `key` is the same for every spelling of one mailbox."""

    shown: str
    key: str
    domain: str


def parse(text: str, *, allow_test: bool = False) -> Address:
    """Check an address that somebody wants to register.

    Raises:
        InvalidFields: it is malformed, too long, or uses characters that look like others.
    """
    found = _validated(text, allow_test=allow_test)
    if found is None:
        raise InvalidFields({"email": "is not an e-mail address"})
    return found


def key_of(text: str) -> str | None:
    """Return the key of an address to look somebody up by, or None when it cannot be one."""
    found = _validated(text, allow_test=True)
    return None if found is None else found.key


def _validated(text: str, *, allow_test: bool) -> Address | None:
    # Whatever is not plain text before the @ is refused: what looks alike would be two people.
    if len(text) > ADDRESS_MAX or text != text.strip() or any(unicodedata.category(sign)[0] == "C" for sign in text):
        return None
    local, at, domain = text.rpartition("@")
    if not at or len(local) > LOCAL_MAX or not local.isascii():
        return None
    try:
        found = validate_email(
            text, check_deliverability=False, allow_smtputf8=False, test_environment=allow_test,
            allow_quoted_local=False, allow_domain_literal=False,
        )  # fmt: skip
    except EmailNotValidError:
        return None
    if _is_disguised(domain, found.domain):
        return None
    domain = found.ascii_domain.lower()
    key = _key(found.local_part, domain)
    # Nothing but a tag, as in "+tag@gmail.com", is nobody's mailbox.
    return None if key.startswith("@") else Address(f"{found.local_part}@{domain}", key, domain)


def _key(local: str, domain: str) -> str:
    plain = local.casefold()
    if domain in GOOGLE:
        return f"{plain.partition('+')[0].replace('.', '')}@gmail.com"
    return f"{plain}@{domain}"


def _is_disguised(given: str, domain: str) -> bool:
    """Tell whether a domain shows another name than the network reads, whose `xn--…` was decoded."""
    if not given.isascii() and unicodedata.normalize("NFC", given.lower()) != domain:
        return True
    return _is_mixed(domain) or any(unicodedata.category(sign)[0] == "C" for sign in domain)


def _is_mixed(domain: str) -> bool:
    """Tell whether a label of a domain mixes alphabets, which nobody does but to look like another domain."""
    for label in domain.split("."):
        alphabets = {unicodedata.name(sign, "?").split(" ")[0] for sign in label if sign.isalpha()}
        if len(alphabets) > 1 and not alphabets <= {"CJK", "HIRAGANA", "KATAKANA", "LATIN"}:
            return True
    return False


def parents(domain: str) -> list[str]:
    """Return a domain and the ones above it, nearest first, without the last label alone."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]


def is_disposable(domain: str, *, allowed: Collection[str], denied: Collection[str]) -> bool:
    """Tell whether addresses of a domain are refused: the operator's nearest word counts, else the packaged list."""
    for name in parents(domain):
        if name in allowed:
            return False
        if name in denied:
            return True
    return any(name in blocklist for name in parents(domain))
