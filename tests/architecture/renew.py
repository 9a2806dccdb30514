"""Writes the documents that are made from the code: `python -m tests.architecture.renew [FILE …]`, or `make docs`.

To add one, write a function that returns its text, name it in `DOCUMENTS`, and let a test compare text and file.
"""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from tests import postgres

from numberdesk.base.postgres import Cluster, running

ROOT = Path(__file__).resolve().parents[2]

SCHEMA_HEAD = """\
-- The schema of a migrated database, for reading and for seeing what a migration changes. Made by `make docs`.
-- The partitions of single months are left out.
"""


def schema() -> str:
    """Return `docs/schema.sql`, from a database made for it."""
    return asyncio.run(_schema_of_new_cluster())


async def _schema_of_new_cluster() -> str:
    folder = postgres.make_folder()
    try:
        async with running(folder / "home") as cluster:
            await postgres.migrate_template(cluster)
            return await asyncio.to_thread(schema_of, cluster)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def schema_of(cluster: Cluster) -> str:
    """Return `docs/schema.sql`, from the template of a cluster: the same text for every version of PostgreSQL."""
    url = urlsplit(cluster.owner_url)
    dump = subprocess.run(
        [
            cluster.binaries / "pg_dump",
            "--schema-only",
            "--no-owner",
            "--exclude-table=*_[0-9][0-9][0-9][0-9]_[0-9][0-9]",
            f"--dbname={url._replace(netloc=f'{url.username}@').geturl()}",
        ],
        env={"PGPASSWORD": url.password or ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    # What depends on the version or on the moment, and what says nothing: settings, and a comment above each object.
    text = re.sub(r"^(--|\\|SET |SELECT pg_catalog\.set_config).*\n", "", dump, flags=re.M)
    text = re.sub(r" CONSTRAINT \w+_not_null NOT NULL", " NOT NULL", text)
    text = re.sub(r" AS IDENTITY \([^()]*\);", " AS IDENTITY;", text)
    return SCHEMA_HEAD + "\n" + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


DOCUMENTS: dict[str, Callable[[], str]] = {
    "docs/schema.sql": schema,
}


def main(*names: str) -> None:
    """Write the named documents, or all."""
    for name in names or DOCUMENTS:
        path = ROOT / name
        before = path.read_text(encoding="utf-8") if path.exists() else None
        text = DOCUMENTS[name]()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}: {'unchanged' if text == before else 'renewed'}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
