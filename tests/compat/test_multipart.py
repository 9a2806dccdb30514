"""Forms as the curl of PHP sends them, `multipart/form-data`: read like the others, and never half of one."""

from typing import Any

import pytest

from numberdesk.compat._door import PATH
from numberdesk.compat._multipart import BadForm, boundary_of, fields
from tests.compat.bot import Bot, money
from tests.http.stand import Answer, Client

BOUNDARY = "------------------------d74496d66958873e"
KIND = f"multipart/form-data; boundary={BOUNDARY}"


def form(pairs: list[tuple[str, bytes]], *, end: str = f"--{BOUNDARY}--\r\n") -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in pairs
    ]
    return b"".join(parts) + end.encode()


def post(bot: Bot, body: bytes, *, kind: str = KIND, query: str = "") -> Answer:
    return Client(bot.client.port).send("POST", f"{PATH}{query}", body=body, headers={"Content-Type": kind})


def asked(bot: Bot, action: str, **more: str) -> list[tuple[str, bytes]]:
    assert bot.client.key is not None
    return [(name, value.encode()) for name, value in ({"api_key": bot.client.key, "action": action} | more).items()]


def test_a_whole_purchase_may_stand_in_the_form(alice: Bot) -> None:
    answer = post(alice, form(asked(alice, "getNumber", **{"service ": " tg ", "country": "22"})))
    assert answer.body.startswith(b"ACCESS_NUMBER:"), answer
    order_id = answer.body.decode().split(":")[1]
    assert post(alice, form(asked(alice, "getStatus", id=order_id))).body == b"STATUS_WAIT_CODE"


def test_the_address_counts_before_the_form_and_files_do_not_count(alice: Bot) -> None:
    body = (
        form(asked(alice, "nosuch"), end="")
        + (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="id"; filename="a.txt"\r\n'
            f"Content-Type: text/plain\r\n\r\n5\r\n--{BOUNDARY}--"
        ).encode()
    )
    assert post(alice, body, query="?action=getBalance").body == b"ACCESS_BALANCE:1000.00"
    assert post(alice, body, query="?action=getStatus").body == b"NO_ACTIVATION"


@pytest.mark.parametrize("value", [b"\xff\xfe", b"2\x002", b"2\r\n2", b"x" * 600])
def test_what_is_no_text_is_no_country(alice: Bot, value: bytes) -> None:
    body = form([*asked(alice, "getNumber", service="tg"), ("country", value)])
    assert post(alice, body).body == b"BAD_COUNTRY"


@pytest.mark.parametrize(
    "how", ["cut", "no end", "no boundary", "another boundary", "no name", "no blank", "many", "large"]
)
def test_a_form_that_is_not_whole_buys_nothing(alice: Bot, how: str) -> None:
    wanted = asked(alice, "getNumber", service="tg", country="22", maxPrice="0.01")
    kind, body = KIND, form(wanted)
    match how:
        case "cut":
            body = body[: body.index(b"maxPrice") - 60]
        case "no end":
            body = form(wanted, end="")
        case "no boundary":
            kind = "multipart/form-data"
        case "another boundary":
            kind = "multipart/form-data; boundary=x"
        case "no name":
            body = body.replace(b'name="maxPrice"', b"")
        case "no blank":
            body = body.replace(b'name="maxPrice"\r\n\r\n', b'name="maxPrice"\r\n')
        case "many":
            body = form([*((f"p{number}", b"1") for number in range(300)), *wanted])
        case _:
            body = form([*wanted, ("junk", b"x" * 70_000)])
    answer = post(alice, body, kind=kind, query=f"?api_key={alice.client.key}&action=getNumber&service=tg&country=22")
    assert (answer.status, answer.body) == (200, b"BAD_DATA")
    assert money(alice) == ("1000.00", "0.00")


def read(body: bytes, kind: str) -> list[tuple[str, str]]:
    return list(fields(body, boundary_of(kind), fields_max=3))


def test_marks_names_and_heads_are_written_in_several_ways() -> None:
    two: Any = [("a", "1"), ("b", "")]
    head = b"Content-Disposition: form-data; name"
    assert (
        read(b"--x\r\n" + head + b'="a"\r\n\r\n1\r\n--x\r\n' + head + b"=b\r\n\r\n\r\n--x--", 'm; boundary="x"') == two
    )
    body = b'before\r\n--x \r\nX-Y: z\r\ncontent-disposition:form-data;NAME="a"\r\n\r\n1\r\n--x--\r\nafter'
    assert read(body, "m; charset=utf-8; Boundary=x") == [("a", "1")]
    assert read(b"--x--", "m; boundary=x") == []
    assert read(b"--x\r\n" + head + b'="a"\r\n\r\n1\r\n2--x\r\n\r\n--x--', "m; boundary=x") == [("a", "1\r\n2--x\r\n")]


@pytest.mark.parametrize("body", [b"", b"--", b"--x", b"--x\r\n", b"\r\n\r\n", b"--x\r\n\r\n\r\n--x--", b"--xy--"])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(BadForm):
        read(body, "m; boundary=x")


def test_many_marks_cost_no_time() -> None:
    with pytest.raises(BadForm):
        read(b"--x\r\n\r\n" * 10_000, "m; boundary=x")
    with pytest.raises(BadForm):
        read(b'--x\r\ncontent-disposition: form-data; name="' + b"\\" * 60_000 + b"\r\n\r\n\r\n--x--", "m; boundary=x")
