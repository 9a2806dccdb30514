"""TRON addresses and their derivation: published vectors, an independent library, and what is refused."""

import random
from typing import Any

import pytest
from bip_utils import (  # type: ignore[import-untyped]
    Bip32Slip10Secp256k1,
    Bip39MnemonicGenerator,
    Bip39SeedGenerator,
    Bip39WordsNum,
    Bip44,
    Bip44Changes,
    Bip44Coins,
    TrxAddrEncoder,
)
from coincurve import PublicKey
from hypothesis import given
from hypothesis import strategies as st

from numberdesk.payments.methods.tron_address import (
    BadAddress,
    BadXpub,
    IndexUnusable,
    add_to_key,
    address_of_key,
    base58check_decode,
    base58check_encode,
    check_address,
    from_hex,
    read_xpub,
    to_hex,
)

XPUB = "xpub6D1AabNHCupeiLM65ZR9UStMhJ1vCpyV4XbZdyhMZBiJXALQtmn9p42VTQckoHVn8WNqS7dqnJokZHAHcHGoaQgmv8D45oNUKx6DZMNZBCd"
CHAIN_XPUB = (
    "xpub6EuK4CZWW5urEHdwAVDdDw327danAtccFcrXYvgf1DHrPXRwErt36xStQ2PNhn4hpwzPbzJ8pJVpewgChRnSs59q5Ay61GCfQZKUe71gbLq"
)
LEGAL_XPUB = (
    "xpub6CCd6xRaRNYQJ9yrjm8WrCbkawvA1W621T26y9JjXGMyq7n4ocuMRoSCMhuwN6hHGkBQxMoQJkSkz7AwoXVzCs4bziNpALtHQBSNQTcVv8w"
)
TREZOR_XPUB = (
    "xpub6CmkrrscV3jsY7uKtMA12q3p4szVZiFPi5st5NWJqG5TDqtasZysWAVX3LmwYenemBGwp9YaKQ9jQ2PBKGTmVLWdrByyudsS8H1EX1XfDhU"
)
USDT = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
VECTORS = [
    (XPUB, 0, "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH", "41c8599111f29c1e1e061265b4af93ea1f274ad78a"),
    (XPUB, 1, "TSeJkUh4Qv67VNFwY8LaAxERygNdy6NQZK", "41b6e708a39781c96bd399c7657780ff9fe9f052a8"),
    (XPUB, 2, "TYJPRrdB5APNeRs4R7fYZSwW3TcrTKw2gx", "41f4f35fff5ca9ee43aca2c57ded9d9ec66ac42dd0"),
    (XPUB, 3, "TRhVWK5XEDkQBDevcdCWW7RW51aRncty4W", "41ac892261ed306c7c91ff84895811fa2e5e58333d"),
    (XPUB, 100, "TVjTLqXUzMUsHhjAPaWP3TpA7vvz2MuvU1", "41d8c8a9d9e623c36374c97009666b2efbd2cd2754"),
    (XPUB, 2147483647, "TVapZk5c7S7ARtSBi9jD13rhkbZke4F4sa", "41d726a2af95aba2b8c78890f03b928571d1e5f9f5"),
    (LEGAL_XPUB, 0, "TUJ2YbSDGtCqzRz7quPQidRCMC98jDAPXc", None),
    (LEGAL_XPUB, 1, "TDsWXR86aKu4u3DnJiZrVxwuwDitd19qve", None),
    (LEGAL_XPUB, 2, "TLqWTABA7pkL7dT23xAmS52mmKajUqGdnf", None),
    (TREZOR_XPUB, 0, "TAyDUYP5rcf56xFwrg8cU1qQwvnWpkeapM", None),
    (TREZOR_XPUB, 1, "TFYaFtDHPwqLuo64eh4CYJiwHT7UivRmst", None),
]
WORDS = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
SEED = Bip39SeedGenerator(WORDS).Generate()
ACCOUNT: Any = Bip44.FromSeed(SEED, Bip44Coins.TRON).Purpose().Coin().Account(0)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("41a614f803b6fd780986a42c78ec9c7f77e6ded13c", "hex digits"),
        ("0x41a614f803b6fd780986a42c78ec9c7f77e6ded13c", "hex digits"),
        ("0xdAC17F958D2ee523a2206206994597C13D831ec7", "Ethereum"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "Bitcoin"),
        ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "Bitcoin"),
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "Bitcoin"),
        ("T94nw3xoTjXXqBzLNUwmYhLovg4nNVZKB6", "prefix"),
        ("TLc6WnRN9DxA4uygPrHGr9A1DhVMxx2w45", "checksum"),
        ("6w9cP3taF7zAsCtmViHprBoiiK68GnrsC", "33 characters"),
        ("319DKUdrbDY8tXmD2xWfQW5aJ3akX7ytypnG", "36 characters"),
        ("TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdh", "wrong case"),
        ("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj60", "never used"),
        ("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6\N{CYRILLIC SMALL LETTER ES}", "never used"),
        ("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjL j6t", "35 characters"),
        ("T" * 1_000_000, "1000000 characters"),
    ],
)
def test_what_is_no_address_is_refused_in_plain_words(text: str, told: str) -> None:
    with pytest.raises(BadAddress, match=told):
        check_address(text)


@pytest.mark.parametrize("text", ["", "41", USDT, "0x41" + "00" * 20, "42" + "00" * 20, "41" + "0g" * 20])
def test_what_is_no_hex_form_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        from_hex(text)


def test_a_text_with_a_wrong_checksum_is_not_decoded() -> None:
    for text in ("", "1", "2", USDT[:-1] + "u", "0" * 34, "z" * 121):
        with pytest.raises(ValueError, match=r"checksum|never used|too long"):
            base58check_decode(text)


@pytest.mark.parametrize(
    ("address", "digits"),
    [
        (USDT, "41a614f803b6fd780986a42c78ec9c7f77e6ded13c"),
        ("TDvr6Jpwfp1wDiV7PhaB19YMsMHRSXmY7p", "412b6e3782fbedade9e4c05078f46a9e29841f0bbe"),
        ("T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb", "41" + "00" * 20),
    ],
)
def test_an_address_is_read_and_written_in_both_forms(address: str, digits: str) -> None:
    assert check_address(f" {address}\n") == address
    assert to_hex(address) == digits
    assert from_hex(digits) == address


@given(st.binary(max_size=60))
def test_what_is_written_in_base58_is_read_again(payload: bytes) -> None:
    assert base58check_decode(base58check_encode(payload)) == payload


@given(st.text(max_size=60))
def test_no_text_makes_the_check_of_an_address_fail_otherwise(text: str) -> None:
    with pytest.raises(BadAddress):
        check_address(text)


SECRETS = {
    "extended private key": ACCOUNT.PrivateKey().ToExtended(),
    "extended private key, damaged": ACCOUNT.PrivateKey().ToExtended()[:-1] + "1",
    "of a test network": "tprv8ZgxMBicQKsPeDgjzdC36fs6bMjGApWDNLR9erAXMs5skhMv36j9MV5ecvf"
    "avji5khqjWaWSFhN3YcCUUdiKH6isR4Pwy3U5y5egddBr16m",
    "another form": "zprvAdG4iTXWBoARxkkzNpNh8r6Qag3irQB8PzEMkAFeTRXxHpbF9z4QgEvBRmfvqW"
    "vGp42t42nvgGpNgYSJA9iefm1yYNZKEm7z6qUWCroSQnE",
    "private under another version": base58check_encode(bytes(45) + b"\0" + b"\x07" * 32),
    "hex": "ab" * 32,
    "capital hex": "AB" * 32,
    "0x hex": "0x" + "ab" * 32,
    "a seed in hex": SEED.hex(),
    "wallet import, plain": "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
    "wallet import": "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1",
    "12 words": WORDS,
    "24 words": " ".join(["abandon"] * 23 + ["art"]),
    "words on lines": WORDS.replace(" ", "\n"),
    "words with commas": WORDS.replace(" ", ", "),
    "pem": "-----BEGIN EC PRIVATE KEY-----\nMHQCAQEEIA\n-----END EC PRIVATE KEY-----",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_refused_loudly_and_never_repeated(secret: str) -> None:
    with pytest.raises(BadXpub, match="private key or a seed phrase") as caught:
        read_xpub(f"  {secret}\n")
    told = f"{caught.value!r} {caught.value.__cause__!r}"
    assert not any(part in told for part in (secret[:8], secret[-8:]))


def reframed(xpub: str, *, at: int, to: bytes) -> str:
    raw = base58check_decode(xpub)
    return base58check_encode(raw[:at] + to + raw[at + len(to) :])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "checksum"),
        ("hello", "never used"),
        (USDT, "another kind"),
        (XPUB[:-1] + "e", "checksum"),
        (XPUB[:-1], "checksum"),
        (XPUB + "1" * 20, "too long"),
        (reframed(XPUB, at=0, to=bytes.fromhex("049d7cb2")), "ypub, zpub or tpub"),
        (reframed(XPUB, at=0, to=bytes.fromhex("04b24746")), "ypub, zpub or tpub"),
        (reframed(XPUB, at=0, to=bytes.fromhex("043587cf")), "ypub, zpub or tpub"),
        (base58check_encode(base58check_decode(XPUB) + b"\0"), "another kind"),
        (reframed(XPUB, at=4, to=b"\0"), "depth 0"),
        (reframed(XPUB, at=4, to=b"\2"), "depth 2"),
        (reframed(XPUB, at=4, to=b"\5"), "depth 5"),
        (reframed(XPUB, at=9, to=bytes.fromhex("80000001")), "depth 3"),
        (reframed(XPUB, at=9, to=bytes(4)), "depth 3"),
        (reframed(CHAIN_XPUB, at=9, to=bytes.fromhex("00000001")), "depth 4"),
        (reframed(XPUB, at=45, to=b"\2" + b"\xff" * 32), "no valid public key"),
        (reframed(XPUB, at=45, to=b"\2" + (5).to_bytes(32, "big")), "no valid public key"),
        (reframed(XPUB, at=45, to=b"\4"), "no valid public key"),
        (reframed(CHAIN_XPUB, at=45, to=b"\2" + (5).to_bytes(32, "big")), "no valid public key"),
    ],
)
def test_a_key_that_is_not_the_wanted_one_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadXpub, match=told):
        read_xpub(text)


@given(st.text(max_size=130))
def test_no_text_makes_the_reading_of_an_xpub_fail_otherwise(text: str) -> None:
    with pytest.raises(BadXpub):
        read_xpub(text)


@pytest.mark.parametrize("index", [-1, 2**31, 2**32])
def test_an_index_beyond_the_receiving_ones_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="an index is between"):
        read_xpub(XPUB).address(index)


@pytest.mark.parametrize("tweak", [0, ORDER, ORDER + 1, 2**256 - 1, ORDER - 7])
def test_an_index_without_a_key_is_told_so_that_it_can_be_skipped(tweak: int) -> None:
    key = PublicKey.from_secret((7).to_bytes(32, "big")).format()
    with pytest.raises(IndexUnusable):
        add_to_key(key, tweak.to_bytes(32, "big"))


@pytest.mark.parametrize(("xpub", "index", "address", "digits"), VECTORS)
def test_the_published_vectors_hold(xpub: str, index: int, address: str, digits: str | None) -> None:
    assert read_xpub(xpub).address(index) == address
    assert digits is None or to_hex(address) == digits


def test_the_account_and_its_receiving_chain_are_one_wallet() -> None:
    account, chain = read_xpub(XPUB), read_xpub(f"\n{CHAIN_XPUB} ")
    assert account == chain
    assert account.account_fingerprint == "ba4475c1"
    assert len({read_xpub(xpub).fingerprint for xpub in (XPUB, CHAIN_XPUB, LEGAL_XPUB, TREZOR_XPUB)}) == 3


def test_an_xpub_is_not_shown_with_its_key() -> None:
    xpub = read_xpub(XPUB)
    assert xpub.key.hex() not in repr(xpub)
    assert "key" not in repr(xpub)
    assert "code" not in repr(xpub)


def test_two_hundred_addresses_are_those_of_an_independent_library() -> None:
    chain = ACCOUNT.Change(Bip44Changes.CHAIN_EXT)
    xpub = read_xpub(ACCOUNT.PublicKey().ToExtended())
    dice = random.Random(195)
    for index in [*range(100), *(dice.randrange(2**31) for _ in range(100))]:
        assert xpub.address(index) == chain.AddressIndex(index).PublicKey().ToAddress()


@pytest.mark.parametrize("number", list(Bip39WordsNum)[:3])
def test_random_wallets_are_those_of_an_independent_library(number: Bip39WordsNum) -> None:
    words = Bip39MnemonicGenerator().FromWordsNumber(number)
    account: Any = Bip44.FromSeed(Bip39SeedGenerator(words).Generate(), Bip44Coins.TRON).Purpose().Coin().Account(0)
    chain = account.Change(Bip44Changes.CHAIN_EXT)
    for exported in (account, chain):
        xpub = read_xpub(exported.PublicKey().ToExtended())
        assert [xpub.address(index) for index in range(5)] == [
            chain.AddressIndex(index).PublicKey().ToAddress() for index in range(5)
        ]


@given(st.binary(min_size=16, max_size=64))
def test_the_address_of_any_key_is_that_of_an_independent_library(seed: bytes) -> None:
    key = Bip32Slip10Secp256k1.FromSeed(seed).PublicKey()
    expected = TrxAddrEncoder.EncodeKey(key.KeyObject())
    assert address_of_key(key.RawCompressed().ToBytes()) == expected
    assert address_of_key(key.RawUncompressed().ToBytes()) == expected
