"""Writes the documents that are made from the code: `python -m tests.architecture.renew [FILE …]`, or `make docs`.

To add one, write a function that returns its text, name it in `DOCUMENTS`, and let a test compare text and file.
"""

import ast
import asyncio
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import get_args
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from numberdesk.base.postgres import Cluster, running
from numberdesk.settings import SECRETS, Settings
from tests import postgres

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


SETTINGS_HEAD = """\
# Settings

Every setting is a variable of the environment, read once at the start; a wrong one stops the start with a sentence.
Made by `make docs` from `src/numberdesk/settings`.

| name | what it is for | values | default |
|---|---|---|---|
"""


def settings() -> str:
    """Return `docs/settings.md`: every field of `Settings`, with the sentence that stands below it."""
    lines = []
    for name, field in Settings.model_fields.items():
        note, _, unit = settings_notes().get(name, "").partition(" Unit: ")
        if name.upper() in SECRETS:
            note += f" Or the path of a file that holds it, as `{name.upper()}_FILE`."
        default = "none" if field.default is None else f"`{field.default}`"
        values = f"{_values(field)} {unit.rstrip('.')}".strip()
        lines.append(f"| `{name.upper()}` | {' '.join(note.split())} | {values} | {default} |\n")
    return SETTINGS_HEAD + "".join(lines)


def settings_notes() -> dict[str, str]:
    """Return the sentences below the fields of `Settings`; the last may name the unit: `Unit: milliseconds.`"""
    kinds = (kind for kind in Settings.__mro__ if kind.__module__.startswith("numberdesk."))
    classes = [node for kind in kinds for node in ast.parse(inspect.getsource(kind)).body]
    body = [item for node in classes if isinstance(node, ast.ClassDef) for item in node.body]
    return {
        ast.unparse(field.target): note.value.value
        for field, note in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(note, ast.Expr)
        if isinstance(note.value, ast.Constant) and isinstance(note.value.value, str)
    }


def _values(field: FieldInfo) -> str:
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not NoneType]
    if all(isinstance(kind, str) for kind in kinds):
        return ", ".join(f"`{kind}`" for kind in kinds)
    bounds = [getattr(item, name) for name in ("ge", "le") for item in field.metadata if hasattr(item, name)]
    if bounds:
        return " to ".join(f"{bound:,}" for bound in bounds)
    return {SecretStr: "secret text", Path: "a path", str: "text", int: "a whole number", bool: "true, false"}[kinds[0]]


DOCUMENTS: dict[str, Callable[[], str]] = {
    "docs/schema.sql": schema,
    "docs/settings.md": settings,
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
