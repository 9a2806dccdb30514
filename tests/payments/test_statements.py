"""Statements as CSV: whatever the bytes, a file is refused as a whole or every row is read, skipped or named."""

import contextlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numberdesk.payments.methods.statements import (
    PROFILES,
    ROWS_MAX,
    BadRow,
    BadStatement,
    Credit,
    Row,
    Skipped,
    read_rows,
    sniff,
)

UTR = "633112345678"
HEADER = "date,utr,amount,payer,narration"
HDFC = "Date,Narration,Chq./Ref.No.,Value Dt,Withdrawal Amt.,Deposit Amt.,Closing Balance"
SBI = "Txn Date,Value Date,Description,Ref No./Cheque No.,Debit,Credit,Balance"
ICICI = "S No.,Transaction Date,Transaction Remarks,Withdrawal Amount (INR ),Deposit Amount (INR ),Balance (INR )"
AXIS = "Tran Date,CHQNO,PARTICULARS,DR,CR,BAL,SOL"
PAYTM = "Transaction_ID,Order_ID,Transaction_Date,Transaction_Type,Status,Amount,Customer_VPA,RRN,UTR_No."


def read(raw: bytes) -> list[Row]:
    profile = sniff(raw)
    assert profile is not None
    return list(read_rows(raw, profile))


def rows(*lines: str, header: str = HEADER) -> list[Row]:
    return read("\n".join([header, *lines]).encode())


def only(line: str, *, header: str = HEADER) -> Row:
    (row,) = rows(line, header=header)
    return row


def credit(line: str, *, header: str = HEADER) -> Credit:
    row = only(line, header=header)
    assert isinstance(row, Credit), row
    return row


def problem(line: str, *, header: str = HEADER) -> str:
    row = only(line, header=header)
    assert isinstance(row, BadRow), row
    return row.problem


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n", "is empty"),
        (b"\xff\xfe", "is empty"),
        (b"PK\x03\x04abc", "is not a CSV file"),
        (b"%PDF-1.7", "is not a CSV file"),
        (b"\x00\xff\x01" * 100, "is not text"),
        (b"no,header,here\n1,2,3", "holds no header row that we know"),
        (b"\n" * 60 + HEADER.encode(), "holds no header row that we know"),
    ],
)
def test_what_is_no_statement_is_refused_as_a_whole(raw: bytes, says: str) -> None:
    with pytest.raises(BadStatement, match=says):
        list(read_rows(raw, PROFILES["generic"]))


def test_more_rows_than_the_limit_are_refused_and_the_limit_is_read_in_seconds() -> None:
    line = f'26/11/2026 10:00,{UTR},"1,250.37",asha@ybl,a note of the payer\n'
    raw = (HEADER + "\n" + line * ROWS_MAX).encode()
    began = time.perf_counter()
    assert sum(isinstance(row, Credit) for row in read_rows(raw, PROFILES["generic"])) == ROWS_MAX
    assert time.perf_counter() - began < 30  # a few seconds where nothing else runs
    with pytest.raises(BadStatement, match="more than 100000 rows"):
        list(read_rows(raw + line.encode(), PROFILES["generic"]))


@pytest.mark.parametrize("gone", ["Withdrawal Amt.", "Deposit Amt.", "Date,"])
def test_a_bank_file_without_a_column_that_matters_is_not_read(gone: str) -> None:
    assert sniff(HDFC.replace(gone, "Other,").encode()) is None


def test_a_merchant_file_without_status_is_not_read_since_failed_payments_would_look_paid() -> None:
    header = PAYTM.replace("Status", "Payment State")
    with pytest.raises(BadStatement, match="status"):
        list(read_rows(header.encode(), PROFILES["paytm_business"]))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"26/11/2026,{UTR},5.005", "more than two decimals: 5.005"),
        (f",{UTR},5.00", "has no date"),
        (f"31/02/2026,{UTR},5.00", "does not exist: 31/02/2026"),
        (f"11/26/2026,{UTR},5.00", "does not exist: 11/26/2026"),
        (f"26/11/2026 25:00,{UTR},5.00", "does not exist"),
        (f"26/11/2026 13:00 PM,{UTR},5.00", "a time that is none"),
        (f"26/11/1926,{UTR},5.00", "a date that is none"),
        (f"26 Foo 2026,{UTR},5.00", "does not exist"),
        (f"46352,{UTR},5.00", "a date that is none: 46352"),
        (f"2026-11-26T10:00+99:00,{UTR},5.00", "does not exist"),
        (f"26/11/2026,{UTR},", "has no amount"),
        (f"26/11/2026,{UTR},-", "has no amount"),
        (f"26/11/2026,{UTR},-5.00", "negative amount: -5.00"),
        (f"26/11/2026,{UTR},₹-5.00", "negative"),
        (f"26/11/2026,{UTR},\u22125.00", "negative"),
        (f"26/11/2026,{UTR},(5.00)", "negative"),
        (f"26/11/2026,{UTR},5 apples", "an amount that is none: 5 apples"),
        (f"26/11/2026,{UTR},apples", "an amount that is none: apples"),
        (f"26/11/2026,{UTR},1E+05", "an amount that is none"),
        (f'26/11/2026,{UTR},"1,50"', "an amount that is none"),
        (f'26/11/2026,{UTR},"1.250,00"', "an amount that is none"),
        (f"26/11/2026,{UTR},\u0665\u0660", "an amount that is none"),
        (f"26/11/2026,{UTR},99999999999", "too large"),
        (f"26/11/2026,{UTR},5.00,a@b,note,with a comma", "more columns"),
        (f"26/11/2026,{UTR},5.00,a@b,no\0te", "NUL"),
        (f"26/11/2026,{UTR},5.00,a@b,{'x' * 2001}", "more than 2000"),
        (f"26/11/2026,{UTR},5.00,a@b,{'x' * 21_000}", "too long"),
        (f'26/11/2026,{UTR},5.00,a@b,"not closed', "quote"),
        ("26/11/2026,63311234567,5.00", "UTR has 11 digits"),
        ("26/11/2026,6331123456,5.00", "UTR has 10 digits"),
        ("26/11/2026,6331123456789,5.00", "UTR has 13 digits"),
        ("26/11/2026,4.12346E+11,5.00", r"UTR 4.12346E\+11"),
        ("26/11/2026,4E11,5.00", "UTR 4E11"),
    ],
)
def test_a_bad_row_says_what_is_wrong_and_the_others_load(line: str, says: str) -> None:
    good = f"26/11/2026,{UTR},5.00"
    first, bad, last = rows(good, line, good)
    assert isinstance(first, Credit)
    assert isinstance(last, Credit)
    assert isinstance(bad, BadRow)
    assert bad.line == 3
    with pytest.raises(ValueError, match=says):
        raise ValueError(bad.problem)


@pytest.mark.parametrize(
    ("header", "line", "why"),
    [
        (HEADER, "", "blank"),
        (HEADER, ",,,,", "blank"),
        (HEADER, "*****,*****,*****", "no payment"),
        (HEADER, "26/11/2026,,1000.00,,Opening Balance", "balance"),
        (HEADER, "Total,,1000.00", "balance"),
        (HEADER, f"26/11/2026,{UTR},5.00 Dr", "debit"),
        (HEADER, f"26/11/2026,{UTR},0.00", "nothing came in"),
        (HDFC, "26/11/26,UPI-SHOP-S@YBL-YESB0000001-633112345678-X,0,26/11/26,5.00,0.00,9.00", "debit"),
        (HDFC, "26/11/26,UPI-SHOP-S@YBL-YESB0000001-633112345678-X,0,26/11/26,5.00,,9.00", "debit"),
        (AXIS, "26-11-2026,,OPENING BALANCE,,,9.00,", "balance"),
        (PAYTM, f"1,R1,26-11-2026 10:00:00,ACQUIRING,FAILED,5.00,a@ybl,{UTR},", "not paid"),
        (PAYTM, f"1,R1,26-11-2026 10:00:00,ACQUIRING,Pending,5.00,a@ybl,{UTR},", "not paid"),
        (PAYTM, f"1,R1,26-11-2026 10:00:00,REFUND,SUCCESS,5.00,a@ybl,{UTR},", "refund"),
    ],
)
def test_rows_that_tell_of_no_money_are_skipped(header: str, line: str, why: str) -> None:
    row = only(line, header=header) if line else rows(line, "", header=header)[0]
    assert isinstance(row, Skipped), row
    assert why in row.why


@pytest.mark.parametrize("status", ["unsuccessful payment", "not settled", "SUCCESS?", ""])
def test_a_status_that_nobody_told_us_is_named_and_not_taken_for_success(status: str) -> None:
    line = f"1,R1,26-11-2026 10:00:00,ACQUIRING,{status},5.00,a@ybl,{UTR},"
    assert "status that we do not know" in problem(line, header=PAYTM)


def test_money_in_and_out_in_one_row_is_named() -> None:
    assert "went out" in problem("26/11/26,UPI-A,0,26/11/26,5.00,5.00,9.00", header=HDFC)


def test_a_payer_cannot_hide_or_forge_a_row_by_his_note() -> None:
    assert credit(f"26/11/2026,{UTR},5.00,,Total").rrn == UTR
    assert credit("26/11/2026,,5.00,,UPI/633112345678/x").rrn is None
    forged = "TRANSFER FROM 4897691162095-NEFT/X/pay UPI/CR/633112345678/x"
    assert credit(f"26 Nov 2026,26 Nov 2026,{forged},,,5.00,9.00", header=SBI).rrn is None
    phone = "UPI/P2A/ASHA/919876543210@ybl"
    assert credit(f"26-11-2026,,{phone},,5.00,9.00,1", header=AXIS).rrn is None
    noted = f"UPI-ASHA-ASHA@YBL-YESB0000001-{UTR}-699999999999"
    assert credit(f"26/11/26,{noted},-,26/11/26,,5.00,9.00", header=HDFC).rrn == UTR


def test_a_quote_that_is_never_closed_costs_its_own_row_only() -> None:
    lines = [f'26/11/2026,{UTR},5.00,a@b,"M/s', *[f"26/11/2026,{UTR},6.00"] * 50]
    found = rows(*lines)
    assert [type(row) for row in found] == [BadRow, *[Credit] * 50]
    assert [row.line for row in found] == list(range(2, 53))


def test_a_quoted_line_break_is_one_row_and_its_first_line_is_named() -> None:
    found = rows(f'26/11/2026,{UTR},5.00,a@b,"two\r\nlines"', f"26/11/2026,{UTR},6.00")
    assert [row.line for row in found] == [2, 4]
    assert isinstance(found[0], Credit)
    assert found[0].narration == "two lines"


def test_a_narration_is_one_printable_line_of_at_most_200_signs() -> None:
    taken = credit(f'26/11/2026,{UTR},5.00,,"a\u202eb\x1b[31m\u2028c\x85 {"x" * 300}"')
    assert taken.narration.startswith("a b [31m c xxx")
    assert len(taken.narration) == 200


@pytest.mark.parametrize(
    ("text", "paise"),
    [
        ("5", 5_00), ("5.", 5_00), ("5.3", 5_30), ("250.37", 250_37), ('"1,250.00"', 1250_00),
        ('"1,00,000.00"', 100_000_00), ('"100,000.00"', 100_000_00), ("₹250.37", 250_37), ("Rs.250", 250_00),
        ("Rs 250.5", 250_50), ('"INR 1,250.00"', 1250_00), ("250.37 Cr", 250_37), ("250.37CR.", 250_37),
        ("'250.37", 250_37), ('"=""250.37"""', 250_37), ("+5.00", 5_00), ("0.01", 1),
    ],
)  # fmt: skip
def test_amounts_are_read_as_banks_write_them(text: str, paise: int) -> None:
    assert credit(f"26/11/2026,{UTR},{text}").amount_paise == paise


@pytest.mark.parametrize(
    ("text", "at", "is_exact"),
    [
        ("26/11/26", "2026-11-26T06:30", False),
        ("26/11/2026", "2026-11-26T06:30", False),
        ("6-1-2026", "2026-01-06T06:30", False),
        ("26-Nov-2026", "2026-11-26T06:30", False),
        ("26 November 2026", "2026-11-26T06:30", False),
        ("26-NOV-26", "2026-11-26T06:30", False),
        ("2026-11-26", "2026-11-26T06:30", False),
        ("26/11/2026 00:00:00", "2026-11-26T06:30", False),
        ("29/02/2028", "2028-02-29T06:30", False),
        ("26/11/2026 10:15", "2026-11-26T04:45", True),
        ("26/11/2026 01:15:30 PM", "2026-11-26T07:45:30", True),
        ("26/11/2026 12:05 am", "2026-11-25T18:35", True),
        ('"26 Nov 2026, 10:15"', "2026-11-26T04:45", True),
        ("2026-11-26T10:15:00.123", "2026-11-26T04:45", True),
        ("2026-11-26T10:15:00Z", "2026-11-26T10:15", True),
        ("2026-11-26 10:15:00+05:30", "2026-11-26T04:45", True),
        ("2026-11-26 10:15:00 IST", "2026-11-26T04:45", True),
        ("'2026-11-26 10:15:00'", "2026-11-26T04:45", True),
    ],
)
def test_dates_are_read_day_first_and_in_india(text: str, at: str, is_exact: bool) -> None:
    taken = credit(f"{text},{UTR},5.00")
    assert (taken.paid_at, taken.is_exact) == (datetime.fromisoformat(at).replace(tzinfo=UTC), is_exact)
    assert taken.paid_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "rrn"),
    [
        (UTR, UTR), (f"'{UTR}", UTR), (f'"=""{UTR}"""', UTR), (f'="{UTR}"', UTR), ("6331 1234 5678", UTR),
        (f"{UTR}.0", UTR), ("001234567890", "001234567890"), ("", None), ("-", None), ("NA", None),
        ("0", None), ("N330261234567890", None),
    ],
)  # fmt: skip
def test_a_utr_is_unwrapped_and_never_completed(text: str, rrn: str | None) -> None:
    assert credit(f"26/11/2026,{text},5.00").rrn == rrn


@pytest.mark.parametrize(
    ("profile", "header", "line", "payer"),
    [
        ("generic", HEADER, f"26/11/2026,{UTR},250.37,Asha@YBL,note", "asha@ybl"),
        ("hdfc", HDFC, f"26/11/26,UPI-ASHA DEVI-ASHA@YBL-YESB0000001-{UTR}-NUMBERS,0000{UTR},26/11/26,0.00,250.37,9",
         "asha@ybl"),
        ("hdfc", HDFC, f"26/11/26,UPI-ASHA DEVI-ASHA@YBL-YESB0000001-{UTR}-NUMBERS,,26/11/26,,250.37,9", "asha@ybl"),
        ("icici", ICICI, f"1,26/11/2026,UPI/{UTR}/Payment/asha@ybl/HDFC BANK,0,250.37,9", "asha@ybl"),
        ("icici", ICICI, f"1,26/11/2026,UPI/ASHA DEVI/asha@ybl/a/note/HDFC BANK/{UTR}/HDF1,0,250.37,9", "asha@ybl"),
        ("sbi", SBI, f"26 Nov 2026,26 Nov 2026,BY TRANSFER-UPI/CR/{UTR}/ASHA/YESB/asha@ybl/UPI-,"
         "TRANSFER FROM 4897691162095,,250.37,9", "asha@ybl"),
        ("axis", AXIS, f"26-11-2026,,UPI/P2A/{UTR}/ASHA DEVI/HDFC BANK/note,,250.37,9,123", None),
        ("paytm_business", PAYTM, f"1,R1,'26-11-2026 10:00:00',ACQUIRING,SUCCESS,250.37,asha@ybl,'{UTR},699999999999",
         "asha@ybl"),
        ("phonepe_business", "Merchant Order Id,Transaction Date,Transaction Amount,Transaction UTR,Transaction Status",
         f"R1,26/11/2026 10:00:00,250.37,{UTR},COMPLETED", None),
        ("bharatpe", "Transaction Date,Transaction Time,Amount,Bank Reference No,Payer Handle,Status",
         f"26/11/2026,10:00 AM,250.37,{UTR},asha@ybl,SUCCESS", "asha@ybl"),
    ],
)  # fmt: skip
def test_every_profile_is_recognised_and_read(profile: str, header: str, line: str, payer: str | None) -> None:
    found = sniff(f"{header}\n{line}".encode())
    assert found is PROFILES[profile]
    taken = credit(line, header=header)
    assert (taken.rrn, taken.amount_paise, taken.payer) == (UTR, 250_37, payer)


def test_the_number_of_a_cheque_or_another_transfer_is_no_utr() -> None:
    for text in ("CHQ DEP-MICR", f"IMPS-{UTR}-ASHA-HDFC", f"NEFT CR-SBIN0000001-ASHA-{UTR}"):
        assert credit(f"26/11/26,{text},0000{UTR},26/11/26,,250.37,9", header=HDFC).rrn is None
    assert "11 digits" in problem("26/11/26,UPI-A-A@YBL,63311234567,26/11/26,,250.37,9", header=HDFC)


def encodings(text: str) -> Sequence[bytes]:
    return [
        text.encode(),
        text.encode("utf-8-sig"),
        text.encode("utf-16"),
        text.encode("utf-16-be"),
        text.encode("utf-16-le"),
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
        text.replace(",", ";").encode(),
        text.replace(",", "\t").encode(),
        text.replace("note", "caf\xe9").encode("cp1252"),
        ("Account,123\nName:,\"a\nb\"\n\n" + text).encode(),
        text.replace("date,", '"DATE\n(IST)",').replace("(IST)", "").encode(),
    ]  # fmt: skip


@pytest.mark.parametrize("place", range(12))
def test_encodings_line_ends_delimiters_and_preambles_are_found_out(place: int) -> None:
    raw = encodings(f"{HEADER}\n26/11/2026,{UTR},250.37,asha@ybl,note\n26/11/2026,{UTR},5.00,,\n")[place]
    found = read(raw)
    taken = [row for row in found if isinstance(row, Credit)]
    assert taken == found
    assert [(row.rrn, row.amount_paise) for row in taken] == [(UTR, 250_37), (UTR, 5_00)]
    assert taken[0].narration in ("note", "café")


def test_a_payment_without_utr_has_the_same_reference_in_every_export() -> None:
    line = "26/11/2026,CHQ DEP,0,{day},,250.37,{balance}"
    first = credit(line.format(day="26/11/26", balance="9.00"), header=HDFC)
    again = rows("", line.format(day="26/11/2026", balance='"9.00"'), header=HDFC)[1]
    twin = credit(line.format(day="26/11/26", balance="259.37"), header=HDFC)
    assert isinstance(again, Credit)
    assert first.reference == again.reference
    assert twin.reference != first.reference
    assert not first.reference.isdigit()


CELLS = st.sampled_from([
    "26/11/2026", UTR, "5.00", "-5", "1,0", '"', '""', "'", '="', "₹", "\r", "\n", ",", ";", "\0", "9" * 30, "1E9",
    "Cr", "00:00", "99/99/9999", "+99:99", "date", "amount", "utr", "status", "UPI/", "a@b",
]) | st.text(max_size=8)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    header=st.sampled_from([HEADER, HDFC, SBI, ICICI, AXIS, PAYTM, ""]),
    lines=st.lists(st.lists(CELLS, max_size=9).map(",".join), max_size=5),
    codec=st.sampled_from(["utf-8", "utf-16", "cp1252"]),
    tail=st.binary(max_size=20),
)
def test_whatever_the_bytes_every_row_is_one_of_three(header: str, lines: list[str], codec: str, tail: bytes) -> None:
    raw = "\n".join([header, *lines]).encode(codec, "replace") + tail
    for profile in PROFILES.values():
        try:
            sniff(raw)
            found = list(read_rows(raw, profile))
        except BadStatement:
            continue
        for row in found:
            assert isinstance(row, Credit | BadRow | Skipped)
            if isinstance(row, Credit):
                assert row.amount_paise > 0
                assert row.rrn is None or (len(row.rrn) == 12 and row.rrn.isascii() and row.rrn.isdigit())
                assert row.paid_at.tzinfo is UTC
                assert len(row.narration) <= 200


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_read(raw: bytes) -> None:
    for profile in PROFILES.values():
        with contextlib.suppress(BadStatement):
            list(read_rows(raw, profile))
