"""The full price table: its size, its first rendering, and how fast it is answered whole, packed and unchanged."""

import sys
import time
from typing import Any

from bench.load import Connection, Tally, repeat
from bench.processes import answers, free_port, process
from numberdesk.base.db import open_database, run
from numberdesk.base.postgres import Cluster

PAIRS = 20_000
CONNECTIONS = 8
ENCODINGS = ("zstd", "br", "gzip")
USUAL = "zstd"
"""What is measured of the packed ones; the others only differ in size."""


async def fill(cluster: Cluster) -> None:
    """Have the provider offer so many services and countries that are not blocked, at prices and stock drawn evenly."""
    db = await open_database(cluster.owner_url, size=1, role=None)
    try:
        async with db.transaction() as tx:
            await run(tx, "DELETE FROM offers")
            await run(
                tx,
                """
                INSERT INTO offers (service, country, provider_id, operator, cost_paise, stock)
                SELECT service, country, (SELECT min(id) FROM providers WHERE kind <> 'sandbox'), 'any',
                       500 + place * 7919 % 9500, place * 104729 % 5000
                FROM (SELECT services.code AS service, countries.code AS country,
                             row_number() OVER (ORDER BY countries.code, services.code) AS place
                      FROM services CROSS JOIN countries
                      WHERE services.category NOT IN (SELECT category FROM blocked_categories WHERE is_on)
                        AND services.category <> 'sandbox'
                     ) AS pairs
                WHERE place <= $1
                """,
                PAIRS,
            )
            await run(tx, "UPDATE providers SET sync_every_ms = 86_400_000, synced_at = clock_timestamp()")
            await run(tx, "UPDATE catalogue_version SET version = version + 1")
    finally:
        await db.close()


async def measure(port: int, path: str, key: str, seconds: float) -> dict[str, Any]:
    """Measure a server that has just begun and rendered nothing yet.

    Each rate is told beside that of a bare application that answers as many bytes.
    """
    connection = Connection(port)
    started = time.perf_counter()
    status, head, body = await connection.get(path, key)
    first_ms = (time.perf_counter() - started) * 1000
    if status != 200:
        raise SystemExit(f"{path}: {body.decode()}")
    etag = head.partition(b"etag:")[2].partition(b"\r\n")[0].strip().decode()
    packed = {name: (await connection.get(path, key, f"Accept-Encoding: {name}"))[2] for name in ENCODINGS}
    connection.close()
    found: dict[str, Any] = {
        "failed": 0,
        "pairs": PAIRS,
        "first_rendering_ms": round(first_ms, 1),
        "bytes": len(body),
        **{f"{name}_bytes": len(part) for name, part in packed.items()},
    }
    cases = {
        "whole": (200, len(body), ()),
        USUAL: (200, len(packed[USUAL]), (f"Accept-Encoding: {USUAL}",)),
        "unchanged": (304, 0, (f"If-None-Match: {etag}",)),
    }
    for name, (expected, size, lines) in cases.items():
        ours = await _repeat(port, path, key, expected, lines, seconds)
        bare = await _bare(size, seconds)
        found[f"{name}_per_second"] = round(ours.rate())
        found[f"{name}_to_bare"] = round(ours.rate() / bare.rate(), 2)
        found["failed"] += ours.failed
    return found


async def _repeat(port: int, path: str, key: str, expected: int, lines: tuple[str, ...], seconds: float) -> Tally:
    async def step(connection: Connection, _place: int) -> bool:
        return (await connection.get(path, key, *lines))[0] == expected

    return await repeat(port, CONNECTIONS, seconds, step)


async def _bare(size: int, seconds: float) -> Tally:
    port = free_port()
    with process(sys.executable, "-m", "bench.bare", str(port), str(size)):
        await answers(port)
        return await _repeat(port, "/", "none", 200, (), seconds)
