"""Each table is written by one slice, by statements that stand in its `sql` module and nowhere else."""

import ast
import re
from collections import defaultdict

import pytest

from tests.architecture.sources import PACKAGE, ROOT, Source, listed, sources

WITHOUT_WRITER: dict[str, str] = {}
"""Tables that no code writes, and why."""
MADE_IN_BASE = {"schema_migrations"}
"""Made by `base.migrate` before the first migration."""

_MADE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)\b(?! PARTITION OF)")
_DROPPED = re.compile(r"DROP TABLE (?:IF EXISTS )?(\w+)")
_WRITE = re.compile(
    r"\b(?:INSERT INTO|MERGE INTO|DELETE FROM|TRUNCATE(?: TABLE)?|(?<!FOR )(?<!NO KEY )(?<!DO )(?<!ON )UPDATE)"
    r"(?: ONLY)? (?:public\.)?(\w+)"
)
_STATEMENT = re.compile(
    r"\b(SELECT\s|INSERT INTO|UPDATE\s+\w+\s+(AS\s+\w+\s+)?SET\b|DELETE FROM|TRUNCATE\s|MERGE INTO|LOCK TABLE"
    r"|CREATE \w+ |ALTER \w+ |DROP \w+ |NOTIFY \w|LISTEN \w)"
)


def test_each_table_is_written_by_one_slice() -> None:
    shared = [
        f"{table}: written by {', '.join(sorted(slices))}"
        for table, slices in writers_of_tables().items()
        if len(slices) > 1
    ]
    assert not shared, listed(shared, "Let one slice own the table, and the others call a verb of its service.")


def test_every_table_has_a_writer() -> None:
    tables, written = made_tables(), writers_of_tables().keys()
    wrong = [f"{table}: nobody writes it" for table in tables - written - WITHOUT_WRITER.keys()]
    wrong += [f"{table}: named in WITHOUT_WRITER, but written" for table in WITHOUT_WRITER.keys() & written]
    assert not wrong, listed(wrong, "Write the table, drop it by a migration, or name it in WITHOUT_WRITER.")


def test_every_written_table_exists() -> None:
    known = made_tables() | MADE_IN_BASE
    unknown = [f"{table}: written by {slices}" for table, slices in writers_of_tables().items() if table not in known]
    assert not unknown, listed(unknown, "No migration makes this table.")


def test_a_slice_names_the_tables_that_it_owns() -> None:
    tables = made_tables()
    owned: dict[str, set[str]] = defaultdict(set)
    for table, slices in writers_of_tables().items():
        owned[min(slices)].add(table)
    wrong = []
    for source in sources("src"):
        if source.name == f"{PACKAGE}{source.part}/__init__.py" and source.part != "base":
            named = tables & set(re.findall(r"`(\w+)`", ast.get_docstring(source.tree) or ""))
            wrong += [f"{source.name}: {table}" for table in sorted(named ^ owned[source.part])]
    assert not wrong, listed(wrong, "Let the docstring of the slice name its tables, each in backticks, and no others.")


def test_statements_stand_in_sql_modules_only() -> None:
    found = [finding for source in sources("src") for finding in misplaced_statements(source)]
    assert not found, listed(found, "Move the statement into the slice's `sql` module, as a function that takes `tx`.")


def made_tables() -> set[str]:
    """Return every table that the migrations make, without partitions."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "migrations").glob("*.sql")))
    code = re.sub(r"\$\$.*?\$\$", "", re.sub(r"--.*", "", text), flags=re.S)
    return set(_MADE.findall(code)) - set(_DROPPED.findall(code))


def writers_of_tables() -> dict[str, set[str]]:
    """Return the parts of the program that write each table."""
    writers: dict[str, set[str]] = defaultdict(set)
    for source in sources("src"):
        if source.is_sql or source.part == "base":
            for table in written_tables(source):
                writers[table].add(source.part)
    return writers


def written_tables(source: Source) -> set[str]:
    """Return the tables that statements in this file write."""
    texts = (" ".join(text.split()) for _, text in strings(source))
    return {table for text in texts for table in _WRITE.findall(text)}


def misplaced_statements(source: Source) -> list[str]:
    """Find strings that look like SQL outside `sql` modules and base."""
    if source.is_sql or source.part == "base":
        return []
    return [
        source.at(node, f"`{found.group().strip()}`")
        for node, text in strings(source)
        if (found := _STATEMENT.search(text))
    ]


def strings(source: Source) -> list[tuple[ast.Constant, str]]:
    """Return every string in the code, docstrings aside."""
    docstrings = {id(node.value) for node in ast.walk(source.tree) if isinstance(node, ast.Expr)}
    return [
        (node, node.value)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("INSERT INTO\n   orders (id) VALUES (1)", {"orders"}),
        ("INSERT INTO a AS b (x) SELECT 1 ON CONFLICT (x) DO UPDATE SET x = 2", {"a"}),
        ("WITH t AS (DELETE FROM holds RETURNING *) UPDATE wallets SET x = 1 FROM t", {"holds", "wallets"}),
        ("SELECT * FROM orders ORDER BY id FOR UPDATE SKIP LOCKED", set()),
        ("SELECT * FROM orders FOR NO KEY UPDATE OF orders", set()),
    ],
)
def test_writes_are_told_from_reads(statement: str, tables: set[str]) -> None:
    assert written_tables(Source("src/numberdesk/orders/sql.py", f"x = {statement!r}")) == tables


@pytest.mark.parametrize(
    ("name", "is_found"),
    [("orders/service.py", True), ("main.py", True), ("orders/sql.py", False), ("orders/sql/_reads.py", False)],
)
def test_the_rule_about_statements_bites(name: str, is_found: bool) -> None:
    text = '"""SELECT nothing."""\n\n\ndef f(table: str) -> str:\n    return f"SELECT * FROM {table}"\n'
    assert bool(misplaced_statements(Source(PACKAGE + name, text))) is is_found
