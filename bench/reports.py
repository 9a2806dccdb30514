"""`make bench-reports`: how long reports on 1,000,000 past orders take, and by which plans they are answered.

The past is made in SQL: orders, holds, postings and entries of a year. It is counted once, as after an update, and then
each report is read as the console reads it. Exits with 1 when a page takes longer than its budget.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, get_args

import asyncpg
import uvloop

from bench.processes import numberdesk
from numberdesk.base import clock, postgres
from numberdesk.base.db import Database, Tx, open_database
from numberdesk.catalogue import reference
from numberdesk.reports import service as reports
from numberdesk.reports.model import Group, Kind, Question

HERE = Path(__file__).parent
BUDGET_MS = 100
"""What a page may take: half of the answers, on two shared cores."""
REPEATS = 7
ALL: tuple[Group, ...] = ("service", "country", "provider")

PAST = HERE / "past.sql"


async def fill(admin_url: str, *, orders: int, days: int, said: bool = True) -> None:
    """Make the past of a database without orders: 200 customers, five providers, 20 services in ten countries."""
    # The mode in which foreign keys are not checked row by row.
    settings = {"session_replication_role": "replica", "synchronous_commit": "off"}
    connection = await asyncpg.connect(admin_url, server_settings=settings, timeout=10)
    for step in PAST.read_text(encoding="utf-8").split(";\n"):
        started = time.monotonic()
        title, _, statement = step.strip().partition("\n")
        if statement:
            text = statement.replace(":orders", str(orders)).replace(":days", str(days))
            await connection.execute(text, timeout=1800)
            if said:
                print(f"  {title.removeprefix('-- '):<40} {time.monotonic() - started:6.1f} s", flush=True)
    await connection.close()


def questions(last: date) -> dict[str, Question]:
    """Return what is asked, by a name for each."""
    month, year = last - timedelta(days=30), last - timedelta(days=364)
    asked = {
        "revenue: a month, by day and everything": Question("revenue", month, last),
        "revenue: a year, by month and provider": Question("revenue", year, last, period="month", by=("provider",)),
        "revenue: a year, by day": Question("revenue", year, last, by=()),
        "revenue: a year of one service, by week": Question("revenue", year, last, period="week", service="tg"),
        "revenue: a year, all of it": Question("revenue", year, last, period="total", by=()),
        "revenue: a year, by day and everything": Question("revenue", year, last),
        "delivery: a month, by everything": Question("delivery", month, last, period="total"),
        "delivery: a month, by day and provider": Question("delivery", month, last, by=("provider",)),
    }
    for kind in get_args(Kind):
        if kind not in ("revenue", "delivery"):
            asked[f"{kind}: a year, by day"] = Question(kind, year, last)
    return asked


async def measure(db: Database) -> dict[str, float]:
    """Return the median milliseconds of the first page of each report."""
    found = {}
    for name, question in questions(today()).items():
        taken = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            page = await reports.read(db, question, limit=100)
            taken.append(1000 * (time.perf_counter() - started))
        assert page.lines, name
        found[name] = round(statistics.median(taken), 1)
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        await reports.liabilities(db)
        taken.append(1000 * (time.perf_counter() - started))
    found["liabilities: now"] = round(statistics.median(taken), 1)
    return found


async def plans(admin_url: str) -> dict[str, str]:
    """Return how the server answers each report, by `EXPLAIN (ANALYZE)` of the very statements that are sent."""
    connection = await asyncpg.connect(admin_url, server_settings={"jit": "off", "timezone": "UTC"}, timeout=10)
    found = {}
    asked: dict[str, Any] = {
        name: partial(reports.read_page, question=question) for name, question in questions(today()).items()
    }
    asked |= {"liabilities: now": reports.read_liabilities}
    for name, read in asked.items():
        sent: list[tuple[str, Any]] = []
        with connection.query_logger(lambda record, sent=sent: sent.append((record.query, record.args))):
            await read(Tx(connection))
            await asyncio.sleep(0)  # the driver tells in the next turn
        ours = [item for item in sent if "typeinfo_tree" not in item[0]]  # the driver asks about types, too
        query, arguments = max(ours, key=lambda item: len(item[0]))
        lines = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) {query}", *arguments)
        found[name] = "\n".join(line[0] for line in lines)
    await connection.close()
    return found


def today() -> date:
    """Return the day that the last orders are of."""
    return clock.now().date()


async def main(orders: int, days: int, output: Path, plans_to: Path | None) -> int:
    """Run everything, write the results, and return the exit code."""
    home = Path(tempfile.mkdtemp(prefix="numberdesk-bench-"))
    home.chmod(0o711)
    try:
        async with postgres.running(home) as cluster:
            await asyncio.to_thread(numberdesk, "migrate", "--home", str(home))
            results, explained = await run_all(cluster, orders, days)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    output.write_text(json.dumps(results, indent=2) + "\n")
    if plans_to is not None:
        parts = (f"{name} ({results['pages_ms'][name]} ms)\n\n{text}\n" for name, text in explained.items())
        head = f"How reports are answered on {orders:,} past orders in {days} days. Made by `make bench-reports`.\n\n"
        plans_to.write_text(head + "\n".join(parts))
    slow = {name: taken for name, taken in results["pages_ms"].items() if taken > BUDGET_MS}
    print(f"slower than {BUDGET_MS} ms: {slow}" if slow else f"every page within {BUDGET_MS} ms")
    return bool(slow)


async def run_all(cluster: postgres.Cluster, orders: int, days: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Make the past, count it, and read it."""
    db = await open_database(cluster.app_url, size=4, name="bench")
    await reference.load(db)
    print(f"making {orders:,} orders of {days} days", flush=True)
    await fill(cluster.admin_url, orders=orders, days=days)
    started = time.monotonic()
    counted = await reports.count(db)
    first = time.monotonic() - started
    connection = await asyncpg.connect(cluster.admin_url, timeout=10)
    await connection.execute("VACUUM (ANALYZE) report_orders, report_money, report_taxes")
    rows = await connection.fetch("SELECT span, count(*) FROM report_orders GROUP BY span ORDER BY span")
    await connection.close()
    started = time.monotonic()
    await reports.count(db)
    again = time.monotonic() - started
    results = {
        "orders": orders, "days": days, "first_count_seconds": round(first, 1), "counted_spans": counted,
        "next_count_seconds": round(again, 3), "rollup_rows": {row["span"]: row["count"] for row in rows},
        "pages_ms": await measure(db), "csv_seconds": await measure_csv(db),
    }  # fmt: skip
    for name, value in results.items():
        print(f"{name:<24} {json.dumps(value, indent=2)}")
    await db.close()
    return results, await plans(cluster.admin_url)


async def measure_csv(db: Database) -> float:
    """Return the seconds in which a month of everything leaves as CSV."""
    started = time.monotonic()
    last = today()
    async for _ in reports.csv_lines(db, Question("revenue", last - timedelta(days=30), last)):
        pass
    return round(time.monotonic() - started, 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.reports")
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--output", type=Path, default=HERE / "reports.json")
    parser.add_argument(
        "--plans", type=Path, default=None, help="where to write the plans, such as docs/reports-plans.txt"
    )
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(arguments.orders, arguments.days, arguments.output, arguments.plans)))
