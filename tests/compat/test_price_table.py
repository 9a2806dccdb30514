"""The full price table as it is served: whole, packed and unchanged, and each account's own."""

import time

import pytest

from numberdesk.catalogue import service as catalogue
from tests.http.stand import Answer, Client, Stand
from tests.http.test_compression import DECODERS, plain

TABLES = {"rest": "/services/prices", "protocol": "/stubs/handler_api.php?action=getPrices&api_key={key}"}
"""Where the table is, by the way it is asked for."""


@pytest.fixture(scope="module")
def alice(stand: Stand) -> Client:
    return stand.customer()


@pytest.fixture(params=TABLES)
def path(request: pytest.FixtureRequest, alice: Client) -> str:
    return TABLES[request.param].format(key=alice.key)


def changed(client: Client, path: str, etag: str) -> Answer:
    """Ask until the table is another one."""
    until = time.monotonic() + 5
    while (answer := client.get(path, If_None_Match=etag)).status == 304:
        assert time.monotonic() < until
        time.sleep(0.05)
    return answer


def charge_more(stand: Stand, client: Client) -> None:
    """Give an account prices of its own."""

    async def work() -> None:
        await catalogue.set_price_rule(stand.site.db, account_id=client.account_id, service="tg", margin_percent=50)

    stand.portal.call(work)


@pytest.mark.parametrize("encoding", DECODERS)
def test_a_packed_table_is_the_whole_one_under_the_same_tag(alice: Client, path: str, encoding: str) -> None:
    whole, packed = alice.get(path), alice.get(path, Accept_Encoding=encoding)
    assert whole.headers["content-type"] == packed.headers["content-type"] == "application/json"
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == (encoding, "Accept-Encoding")
    assert plain(packed) == whole.body
    assert len(packed.body) < len(whole.body) / 2
    assert int(packed.headers["content-length"]) == len(packed.body)
    assert packed.headers["etag"] == f"W/{whole.headers['etag']}"
    assert "content-encoding" not in whole.headers
    assert whole.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("encoding", ["", "identity", *DECODERS])
def test_who_has_the_table_gets_no_body_whatever_the_encoding(alice: Client, path: str, encoding: str) -> None:
    etag = alice.get(path, Accept_Encoding=encoding).headers["etag"]
    for accepted in ("", encoding, "zstd, br, gzip"):
        for given in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
            answer = alice.get(path, Accept_Encoding=accepted, If_None_Match=given)
            assert (answer.status, answer.body) == (304, b"")
            assert "content-encoding" not in answer.headers
            assert answer.headers["etag"].removeprefix("W/") == etag.removeprefix("W/")
            assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("given", ['"other"', "W/", '"', "x" * 5_000, ",,,", '""'])
def test_any_other_tag_gets_the_table(alice: Client, path: str, given: str) -> None:
    assert alice.get(path, If_None_Match=given).body == alice.get(path).body


def test_a_change_of_the_catalogue_is_told_to_who_has_the_table(stand: Stand, alice: Client, path: str) -> None:
    before = alice.get(path, Accept_Encoding="zstd")
    stand.change("UPDATE offers SET stock = stock + 1 WHERE service = 'tg' AND country = 22")
    stand.change("UPDATE catalogue_version SET version = version + 1")
    after = changed(alice, path, before.headers["etag"])
    assert after.body != plain(before)
    assert plain(alice.get(path, Accept_Encoding="zstd")) == after.body


def test_an_account_with_prices_of_its_own_has_a_table_of_its_own(stand: Stand, alice: Client) -> None:
    for address in TABLES.values():
        bob = stand.customer()
        mine, everybodys = address.format(key=bob.key), address.format(key=alice.key)
        before = bob.get(mine)
        assert before.headers["etag"] == alice.get(everybodys).headers["etag"]
        charge_more(stand, bob)
        after = changed(bob, mine, before.headers["etag"])
        assert after.body != before.body
        assert alice.get(everybodys).body == before.body
        assert bob.get(mine, If_None_Match=before.headers["etag"]).body == after.body


def test_nobody_without_a_key_gets_a_table(stand: Stand) -> None:
    assert stand.nobody.get(TABLES["rest"]).refusal == (401, "credentials_missing")
    assert stand.nobody.get(TABLES["rest"], If_None_Match="*").status == 401
