"""`make bench`: purchases, polls, whole flows and price tables a second, beside a bare ASGI application and pgbench.

Everything runs on this machine at once: database, provider, server and load. Only the ratios of one run mean something.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from bench import table
from bench.load import Connection, Tally, data_of, repeat
from bench.processes import answers, free_port, numberdesk, process
from numberdesk.base import postgres

HERE = Path(__file__).parent
CUSTOMERS = 200
CONNECTIONS = 64
WAITING = 400
"""Flows at once: most of them wait for their code."""
PRICES = "/stubs/handler_api.php?action=getPrices&api_key="
BUY = json.dumps({"service": "tg", "country": 22}).encode()


async def measure_bare(seconds: float) -> Tally:
    """Measure the bound: polls of a server that does nothing."""
    port = free_port()
    with process(sys.executable, "-m", "bench.bare", str(port)):
        await answers(port)

        async def step(connection: Connection, _place: int) -> bool:
            return (await connection.post("/", "none", b'{"orderId":1}'))[0] == 200

        return await repeat(port, CONNECTIONS, seconds, step)


async def measure_buys(port: int, keys: list[str], seconds: float) -> Tally:
    """Measure purchases."""

    async def step(connection: Connection, place: int) -> bool:
        status, _ = await connection.post("/auth/get-number", keys[place % len(keys)], BUY)
        return status == 200

    return await repeat(port, CONNECTIONS, seconds, step)


async def measure_polls(port: int, keys: list[str], seconds: float) -> Tally:
    """Measure polls of open orders, one order a connection."""
    bodies: dict[int, bytes] = {}

    async def step(connection: Connection, place: int) -> bool:
        key = keys[place % len(keys)]
        if place not in bodies:
            order = data_of((await connection.post("/auth/get-number", key, BUY))[1])
            bodies[place] = json.dumps({"orderId": order["orderId"]}).encode()
        return (await connection.post("/auth/check-otp", key, bodies[place]))[0] == 200

    return await repeat(port, CONNECTIONS, seconds, step)


async def measure_flows(port: int, keys: list[str], seconds: float) -> Tally:
    """Measure whole flows: buy, wait for the code, read it, finish."""

    async def step(connection: Connection, place: int) -> bool:
        key = keys[place % len(keys)]
        status, body = await connection.post("/auth/get-number", key, BUY)
        if status != 200:
            return False
        wait = json.dumps({"orderId": data_of(body)["orderId"], "wait": 25}).encode()
        status, body = await connection.post("/auth/check-otp", key, wait)
        if status != 200 or data_of(body)["otp"] is None:
            return False
        done = json.dumps({"orderId": data_of(body)["orderId"]}).encode()
        return (await connection.post("/auth/finish-number", key, done))[0] == 200

    return await repeat(port, WAITING, seconds, step)


def measure_pgbench(cluster: postgres.Cluster, first: int, last: int, seconds: float) -> float:
    """Measure the same purchase, one at a time on eight connections, without a server of ours."""
    done = subprocess.run(
        [
            str(cluster.binaries / "pgbench"), "-n", "-c", "8", "-j", "1", "-T", str(int(seconds)), "-M", "prepared",
            "-D", f"first={first}", "-D", f"last={last}", "-f", str(HERE / "purchase.sql"), cluster.owner_url,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if found is None:
        raise SystemExit(f"pgbench: {done.stderr.strip()}")
    return float(found[1])


async def measure_prices(
    cluster: postgres.Cluster, serve: tuple[str, ...], quiet: dict[str, str], port: int, key: str, seconds: float
) -> dict[str, Any]:
    """Measure the full price table on a server that starts with a long catalogue."""
    await table.fill(cluster)
    with process(*serve, environment=quiet):
        await answers(port)
        return await table.measure(port, PRICES + key, key, seconds / 2)


async def main(seconds: float, output: Path) -> None:
    """Run everything and write the results."""
    home = Path(tempfile.mkdtemp(prefix="numberdesk-bench-"))
    home.chmod(0o711)
    results: dict[str, Any] = {}
    try:
        async with postgres.running(home) as cluster:
            results = await run_all(cluster, home, seconds)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    output.write_text(json.dumps(results, indent=2) + "\n")
    show(results)


async def run_all(cluster: postgres.Cluster, home: Path, seconds: float) -> dict[str, Any]:
    """Measure each figure after the other on one installation."""
    where = ("--home", str(home))
    sim_port, port = free_port(), free_port()
    numberdesk("migrate", *where)
    keys_file = home / "keys"
    simulator = (
        sys.executable, "-m", "numberdesk", "simulator", "--port", str(sim_port), "--profile", "instant",
        "--api-key", "bench", "--record", str(home / "record.jsonl"), "--balance", "100000000",
    )  # fmt: skip
    quiet = {"LOG_LEVEL": "error", "CANCEL_TIMEOUT": "0", "DATABASE_POOL": "10"}
    with process(*simulator):
        await answers(sim_port)
        url = f"http://127.0.0.1:{sim_port}/stubs/handler_api.php"
        numberdesk("provider", "add", "bench", "--url", url, "--api-key", "bench", *where)
        numberdesk("provider", "set", "bench", "--poll-ms", "200", "--calls-per-second", "100000",
                   "--parallel-max", "1000", *where)  # fmt: skip
        numberdesk("provider", "sync", "bench", *where)
        numberdesk("seed", "--users", str(CUSTOMERS), "--balance", "1000000", "--keys-file", str(keys_file), *where)
        keys = keys_file.read_text().split()
        serve = (sys.executable, "-m", "numberdesk", "serve", "--port", str(port), *where)
        bare = await measure_bare(seconds)
        with process(*serve, environment=quiet):
            await answers(port)
            polls = await measure_polls(port, keys, seconds)
            flows = await measure_flows(port, keys, seconds)
            buys = await measure_buys(port, keys, seconds)
        verified = subprocess.run([sys.executable, "-m", "numberdesk", "ledger", "verify", *where], capture_output=True)
        single = measure_pgbench(cluster, 1, CUSTOMERS, seconds)
        prices = await measure_prices(cluster, serve, quiet, port, keys[0], seconds)
    return {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "postgresql": cluster.version},
        "seconds": seconds,
        "bare_requests_per_second": round(bare.rate()),
        "polls_per_second": round(polls.rate()),
        "polls_to_bare": round(polls.rate() / bare.rate(), 2),
        "poll_p99_ms": round(polls.percentile(0.99), 1),
        "buys_per_second": round(buys.rate()),
        "buy_p99_ms": round(buys.percentile(0.99), 1),
        "pgbench_purchases_per_second": round(single),
        "buys_to_pgbench": round(buys.rate() / single, 2),
        "flows_per_second": round(flows.rate()),
        "flow_p99_ms": round(flows.percentile(0.99), 1),
        "failed": polls.failed + buys.failed + flows.failed + prices.pop("failed"),
        "ledger": "right" if verified.returncode == 0 else "WRONG",
        "price_table": prices,
    }


def show(results: dict[str, Any]) -> None:
    """Print the results, a line each."""
    for name, value in results.items():
        if isinstance(value, dict):
            show({f"{name}.{part}": item for part, item in value.items()})
        else:
            print(f"{name:<32} {value}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each figure")
    parser.add_argument("--output", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(arguments.seconds, arguments.output))
