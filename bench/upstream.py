"""`make bench-upstream`: how many calls to its provider one delivered code takes, with few and with many open orders.

One call serves all open orders of a provider, so the number must not grow with them. The provider counts the calls.
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

import uvloop

from bench.load import Connection
from bench.processes import answers, free_port, numberdesk, process
from numberdesk.base import postgres
from numberdesk.base.db import open_database, value
from numberdesk.providers import simulator
from numberdesk.providers.simulator import Simulator

HERE = Path(__file__).parent
OPEN_ORDERS = (10, 1_000, 10_000)
CODES_PER_SECOND = 20
NUMBERS_A_CALL = 10
KEY = "bench"
BUY = {"service": "tg", "country": 22, "quantity": NUMBERS_A_CALL}
SETTLE_SECONDS = 4.0


async def main(seconds: float, output: Path) -> None:
    """Run everything, print a line for each number of open orders, and write the results."""
    home = Path(tempfile.mkdtemp(prefix="numberdesk-bench-"))
    home.chmod(0o711)
    try:
        async with (
            postgres.running(home) as cluster,
            await simulator.start(api_key=KEY, record_path=None, profile="never", balance="999999999.00") as upstream,
        ):
            found = await _measure_all(cluster, home, upstream, seconds)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    output.write_text(json.dumps(found, indent=2) + "\n")


async def _measure_all(
    cluster: postgres.Cluster, home: Path, upstream: Simulator, seconds: float
) -> list[dict[str, float]]:
    where = ("--home", str(home))
    port, keys_file = free_port(), home / "keys"
    for command in (
        ("migrate",),
        ("provider", "add", "bench", "--url", upstream.url, "--api-key", KEY),
        ("provider", "set", "bench", "--poll-ms", "2000"),
        ("provider", "sync", "bench"),
        ("seed", "--users", "1", "--balance", "1000000", "--keys-file", str(keys_file)),
    ):
        await asyncio.to_thread(numberdesk, *command, *where)
    serve = (sys.executable, "-m", "numberdesk", "serve", "--port", str(port), *where)
    found = []
    with process(*serve, environment={"LOG_LEVEL": "error"}):
        await answers(port)
        for wanted in OPEN_ORDERS:
            await _open_orders(port, keys_file.read_text().strip(), wanted - len(upstream.live_ids))
            found.append(await _measure(cluster, upstream, seconds))
            print("  ".join(f"{name} {number:g}" for name, number in found[-1].items()))
    return found


async def _open_orders(port: int, key: str, count: int) -> None:
    connection = Connection(port)
    for _ in range(count // NUMBERS_A_CALL):
        status, body = await connection.post("/auth/get-number", key, json.dumps(BUY).encode())
        if status != 200:
            raise SystemExit(f"a purchase failed: {body.decode()}")


async def _measure(cluster: postgres.Cluster, upstream: Simulator, seconds: float) -> dict[str, float]:
    """Let codes arrive at an even pace on numbers drawn by chance, and count until all are with their orders."""
    db = await open_database(cluster.app_url, size=1, name="bench")
    try:
        async with db.statement() as tx:
            before = await value(tx, "SELECT count(*) FROM orders WHERE received_at IS NOT NULL")
        open_orders, asked = len(upstream.live_ids), upstream.asked
        waiting = sorted(upstream.live_ids - {fact.activation_id for fact in upstream.delivered})
        chosen = random.Random(20261126).sample(waiting, min(len(waiting), int(seconds * CODES_PER_SECOND)))
        for number, activation_id in enumerate(chosen):
            upstream.deliver(activation_id, f"Telegram code {10_000 + number}")
            await asyncio.sleep(1 / CODES_PER_SECOND)
        await asyncio.sleep(SETTLE_SECONDS)
        async with db.statement() as tx:
            codes = await value(tx, "SELECT count(*) FROM orders WHERE received_at IS NOT NULL") - before
    finally:
        await db.close()
    calls = upstream.asked - asked
    return {"open_orders": open_orders, "codes": codes, "calls": calls, "calls_per_code": round(calls / codes, 3)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.upstream")
    parser.add_argument("--seconds", type=float, default=15.0, help="for each number of open orders")
    parser.add_argument("--output", type=Path, default=HERE / "upstream.json")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(arguments.seconds, arguments.output))
