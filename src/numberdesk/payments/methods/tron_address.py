"""TRON addresses: their check, and those that an operator's xpub stands for, without any private key."""

import hmac
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from coincurve import PublicKey
from Crypto.Hash import RIPEMD160, keccak

INDEX_MAX: Final = 2**31 - 1
PREFIX: Final = 0x41

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS: Final = {letter: place for place, letter in enumerate(_ALPHABET)}
_TEXT_MAX: Final = 120
"""Characters of the longest text that is decoded, an extended key with room: the work grows with their square."""
_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_XPUB: Final = bytes.fromhex("0488B21E")
_ACCOUNT: Final = 3, 0x80000000
_CHAIN: Final = 4, 0
"""Depth and child number of m/44'/195'/0' and of m/44'/195'/0'/0."""
_HEX_ADDRESS: Final = re.compile(r"(0[xX])?41[0-9a-fA-F]{40}")
_OTHER_CHAIN: Final = re.compile(r"0[xX][0-9a-fA-F]{40}")
_BITCOIN: Final = re.compile(r"(bc1|ltc1|tb1)[0-9a-z]{6,90}|[13][1-9A-HJ-NP-Za-km-z]{24,33}", re.IGNORECASE)
_PRIVATE: Final = re.compile(
    r"([a-z]prv|ltpv|dgpv|drkv|mtpv|ttpv).*"  # extended private keys of any chain
    r"|(0x)?[0-9a-f]{64}([0-9a-f]{64})?"  # a bare private key, or a seed
    r"|[1-9a-z]{51,52}"  # a private key in the form that wallets import
    r"|.*private key.*",
    re.IGNORECASE | re.DOTALL,
)


class BadAddress(ValueError):
    """The text is no TRON address; `str()` says in plain words what is wrong with it."""


class BadXpub(ValueError):
    """The text is no xpub that we may use; `str()` says why, and never holds any of the text: it may be a secret."""


class IndexUnusable(ValueError):
    """No address exists at this index, which happens once in 2**127; take the next one."""


@dataclass(frozen=True, slots=True)
class Xpub:
    """The public key below which all receiving addresses of one wallet stand.

    Whoever has it sees every address, and with one of their private keys gets all the others: it is half a secret.
    """

    fingerprint: str
    """16 hex digits, the same whether the account's or the chain's xpub was given: both mean the same addresses."""
    account_fingerprint: str
    """8 hex digits that wallets show for the account, for people to compare."""
    key: bytes = field(repr=False)
    code: bytes = field(repr=False)

    def address(self, index: int) -> str:
        """Return the receiving address m/44'/195'/0'/0/index.

        Raises:
            IndexUnusable: skip this one.
            ValueError: the index is not in 0..2**31-1.
        """
        key, _ = _child(self.key, self.code, index)
        return address_of_key(key)


def check_address(text: str) -> str:
    """Return the address without outer blanks.

    Raises:
        BadAddress: it is none.
    """
    address = text.strip()
    if problem := _problem(address):
        raise BadAddress(problem)
    return address


def to_hex(address: str) -> str:
    """Return the 42 hex digits, `41…`, of an address.

    Raises:
        BadAddress: it is none.
    """
    return base58check_decode(check_address(address)).hex()


def from_hex(text: str) -> str:
    """Return the address that 42 hex digits, `41…`, stand for.

    Raises:
        BadAddress: they are none.
    """
    if text[:2] != "41" or not _HEX_ADDRESS.fullmatch(text):
        raise BadAddress("is not 42 hex digits that start with 41")
    return base58check_encode(bytes.fromhex(text))


def base58check_encode(payload: bytes) -> str:
    """Write bytes and their checksum in base58."""
    raw = payload + _checksum(payload)
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def base58check_decode(text: str) -> bytes:
    """Return the bytes without their checksum.

    Raises:
        ValueError: a letter that is not base58, too long, or a wrong checksum.
    """
    raw = _base58_decode(text)
    if len(raw) < 4 or _checksum(raw[:-4]) != raw[-4:]:
        raise ValueError("the checksum is wrong")
    return raw[:-4]


def address_of_key(key: bytes) -> str:
    """Return the address of a public key in any of its encodings."""
    point = PublicKey(key).format(compressed=False)[1:]
    return base58check_encode(bytes([PREFIX]) + keccak.new(digest_bits=256, data=point).digest()[-20:])


def read_xpub(text: str) -> Xpub:
    """Read an xpub of m/44'/195'/0', which wallets export, or of m/44'/195'/0'/0.

    Raises:
        BadXpub: it is a secret, which must never reach a server, or another kind of key, or damaged.
    """
    text = text.strip()
    if _PRIVATE.fullmatch(text) or len(re.split(r"[\s,;]+", text)) >= 12:
        raise BadXpub(_NEVER_HERE)
    try:
        raw = base58check_decode(text)
    except ValueError as problem:
        raise BadXpub(f"This is not an xpub: {problem}.") from None
    if len(raw) == 78 and raw[45] == 0:
        raise BadXpub(_NEVER_HERE)
    if len(raw) != 78 or raw[:4] != _XPUB:
        raise BadXpub("This is a key of another kind: only one that starts with xpub will do, not ypub, zpub or tpub.")
    place = raw[4], int.from_bytes(raw[9:13], "big")
    if place not in (_ACCOUNT, _CHAIN):
        raise BadXpub(f"This xpub stands at depth {place[0]}; give the one of the account, m/44'/195'/0'.")
    parent, code, key = raw[5:9], raw[13:45], raw[45:]
    try:
        PublicKey(key)
        if place == _ACCOUNT:
            parent = RIPEMD160.new(sha256(key).digest()).digest()[:4]
            key, code = _child(key, code, 0)
    except ValueError:
        raise BadXpub("This xpub holds no valid public key.") from None
    return Xpub(sha256(key + code).hexdigest()[:16], parent.hex(), key, code)


def add_to_key(key: bytes, tweak: bytes) -> bytes:
    """Return the compressed key that lies `tweak` times the generator further, as BIP32 asks for a child.

    Raises:
        IndexUnusable: the tweak is zero or not below the curve's order, or the sum is no key.
    """
    if not 0 < int.from_bytes(tweak, "big") < _ORDER:
        raise IndexUnusable("no key exists at this index")
    try:
        return PublicKey(key).add(tweak).format()
    except ValueError:
        raise IndexUnusable("no key exists at this index") from None


_NEVER_HERE: Final = (
    "This looks like a private key or a seed phrase. It must never be on this server: give the xpub of the account, "
    "and move the money to a new wallet, because a secret that was pasted once may be stored somewhere now."
)


def _child(key: bytes, code: bytes, index: int) -> tuple[bytes, bytes]:
    if not 0 <= index <= INDEX_MAX:
        raise ValueError("an index is between 0 and 2**31-1")
    both = hmac.digest(code, key + index.to_bytes(4, "big"), "sha512")
    return add_to_key(key, both[:32]), both[32:]


def _problem(address: str) -> str | None:
    """Say what is wrong, or None. What a person most likely pasted is named before what a checksum says."""
    if not address:
        return "is empty"
    if _HEX_ADDRESS.fullmatch(address):
        return "is written in hex digits; give the form that starts with T"
    if _OTHER_CHAIN.fullmatch(address):
        return "is an address of another chain, such as Ethereum; an address of TRON starts with T"
    if _BITCOIN.fullmatch(address):
        return "is an address of Bitcoin or a chain like it; an address of TRON starts with T"
    if len(address) != 34:
        return f"has {len(address)} characters; an address of TRON has 34"
    try:
        payload = base58check_decode(address)
    except ValueError as problem:
        if _has_one_wrong_case(address):
            return "has one letter in the wrong case, a capital for a small one or the other way round"
        return f"has a typing error: {problem}"
    if len(payload) != 21 or payload[0] != PREFIX:
        return "has the prefix of another chain; it is no address of TRON"
    return None


def _has_one_wrong_case(address: str) -> bool:
    swapped = (address[:at] + letter.swapcase() + address[at + 1 :] for at, letter in enumerate(address))
    return any(_is_address(text) for text in swapped)


def _is_address(text: str) -> bool:
    try:
        payload = base58check_decode(text)
    except ValueError:
        return False
    return len(payload) == 21 and payload[0] == PREFIX


def _base58_decode(text: str) -> bytes:
    if len(text) > _TEXT_MAX:
        raise ValueError("it is too long")
    number = 0
    for letter in text:
        if letter not in _DIGITS:
            raise ValueError("it holds a character that is never used, such as 0, O, I or l")
        number = number * 58 + _DIGITS[letter]
    return b"\0" * (len(text) - len(text.lstrip("1"))) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _checksum(payload: bytes) -> bytes:
    return sha256(sha256(payload).digest()).digest()[:4]
