"""Small rules that no linter knows. Each is a function that finds what breaks it, with a line that does."""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.architecture.sources import PACKAGE, ROOT, Function, Source, listed, sources

OUTSIDE = re.compile(r"numberdesk\.providers\.(service|adapters|line)|numberdesk\.base\.http_client|aiohttp\b")
"""What may talk to other machines."""

EMPTY_NAMES = re.compile(r"(utils?|helpers?|commons?|misc)$")
MONEY = (f"{PACKAGE}wallet/", f"{PACKAGE}base/money.py")


def imports_in_functions(source: Source) -> list[str]:
    """Import at the top: an import in a function hides an arrow between parts."""
    return [
        source.at(node, f"`{ast.unparse(node)}` in `{function.name}`")
        for function in source.functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def transactions_of_others(source: Source) -> list[str]:
    """Let `tx` run in the caller's transaction: a function that takes one opens none of its own."""
    return [
        source.at(call, f"`{function.name}` takes tx and calls `{ast.unparse(call.func)}`")
        for function in source.functions()
        if any(argument.arg == "tx" for argument in _positional(function))
        for call in _calls(function)
        if _opens(call)
    ]


def statements_without_tx(source: Source) -> list[str]:
    """Give every function of an `sql` module `tx` as its first parameter."""
    return [
        source.at(function, f"`{function.name}({', '.join(item.arg for item in _positional(function))})`")
        for function in source.tree.body
        if source.is_sql and isinstance(function, Function) and not function.name.startswith("_")
        and [item.arg for item in _positional(function)][:1] != ["tx"]
    ]  # fmt: skip


def calls_outside_in_transactions(source: Source) -> list[str]:
    """Ask other machines before or after a transaction, never inside: it would hold locks while they think.

    What is called with `tx` runs in this transaction and talks to nobody.
    """
    return [
        source.at(call, f"`{ast.unparse(call.func)}` inside `{ast.unparse(block.items[0].context_expr)}`")
        for block in ast.walk(source.tree)
        if isinstance(block, ast.AsyncWith)
        and any(isinstance(item.context_expr, ast.Call) and _opens(item.context_expr) for item in block.items)
        for statement in block.body
        for call in _calls(statement)
        if OUTSIDE.match(name := source.called(call)) and not name.rpartition(".")[2][:1].isupper()
        and not (call.args and isinstance(call.args[0], ast.Name) and call.args[0].id == "tx")
    ]  # fmt: skip


def inexact_money(source: Source) -> list[str]:
    """Count money in integers: no `float(…)`, no decimal point and no `/` where money is."""
    return [
        source.at(node, f"`{ast.unparse(node)}`")
        for node in ast.walk(source.tree)
        if source.name.startswith(MONEY)
        and (
            (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div))
            or (isinstance(node, ast.Call) and ast.unparse(node.func) == "float")
            or (isinstance(node, ast.Constant) and isinstance(node.value, float))
        )
        and isinstance(node, ast.stmt | ast.expr)
    ]


def empty_names(source: Source) -> list[str]:
    """Name a module after what is in it: `utils`, `helpers` and `common` say nothing."""
    names = source.name.removesuffix(".py").split("/")
    return [source.name for name in names if EMPTY_NAMES.match(name.lstrip("_"))]


def files_without_docstring(source: Source) -> list[str]:
    """Start every file with a sentence that says what it is for."""
    return [] if ast.get_docstring(source.tree) else [source.name]


def swallowed_exceptions(source: Source) -> list[str]:
    """Name what is caught: a bare `except:` also catches the end of the program."""
    return [
        source.at(node, "`except:`")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


def composed_statements(source: Source) -> list[str]:
    """Write statements as literals: values travel as `$1`, and nothing else is put into the text."""
    return [
        source.at(call, f"`{ast.unparse(call.func)}(… {ast.unparse(statement)[:40]} …)`")
        for call in _calls(source.tree)
        if (place := _places_of_statements().get(source.called(call))) and source.part != "base"
        for statement in call.args[place : place + 1]
        if not _is_literal(source, statement)
    ]  # fmt: skip


@cache
def _places_of_statements() -> dict[str, int]:
    """Return every function that takes a statement, and which argument it is: the one that is a `LiteralString`."""
    return {
        f"{source.module}.{function.name}": place
        for source in sources("src")
        for function in source.functions()
        for place, argument in enumerate(_positional(function))
        if _is_literal_string(argument)
    }


def _is_literal(source: Source, statement: ast.expr) -> bool:
    if not isinstance(statement, ast.Name):
        return isinstance(statement, ast.Constant)
    values = [
        node.value
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == statement.id
    ]
    arguments = [item for function in source.functions() for item in _positional(function) if item.arg == statement.id]
    return all(isinstance(value, ast.Constant) for value in values) and all(map(_is_literal_string, arguments))


def _is_literal_string(argument: ast.arg) -> bool:
    return argument.annotation is not None and ast.unparse(argument.annotation) == "LiteralString"


def _positional(function: Function) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args]


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (item for item in ast.walk(node) if isinstance(item, ast.Call))


def _opens(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("transaction", "statement")


Rule = Callable[[Source], list[str]]

BAD_LINES: dict[Rule, tuple[str, str]] = {
    imports_in_functions: ("main.py", "def f():\n    import os"),
    transactions_of_others: ("wallet/service.py", "async def f(tx, db):\n    async with db.transaction() as tx: ..."),
    statements_without_tx: ("wallet/sql.py", "async def find(account_id): ..."),
    calls_outside_in_transactions: (
        "orders/service/_buy.py",
        "from numberdesk.providers import service as providers\n"
        "async def f(desk):\n    async with desk.db.transaction() as tx:\n        await providers.rent(desk.lines)",
    ),
    inexact_money: ("wallet/service.py", "half = amount / 2"),
    empty_names: ("wallet/_helpers.py", ""),
    files_without_docstring: ("wallet/model.py", "a = 1"),
    swallowed_exceptions: ("main.py", "try:\n    f()\nexcept:\n    pass"),
    composed_statements: (
        "wallet/sql.py",
        "from numberdesk.base.db import run\n"
        'async def f(tx, table):\n    statement = f"DELETE FROM {table}"\n    await run(tx, statement)',
    ),
}
"""Every rule, with a file that breaks it."""

GOOD_LINES: dict[Rule, tuple[str, str]] = {
    transactions_of_others: ("wallet/service.py", "async def f(db):\n    async with db.transaction() as tx: ..."),
    statements_without_tx: ("wallet/sql.py", "async def find(tx, account_id): ...\ndef _order(line): ..."),
    calls_outside_in_transactions: (
        "orders/service/_buy.py",
        "from numberdesk.providers import service as providers\n"
        "async def f(desk):\n    async with desk.db.transaction() as tx:\n        await providers.set_synced(tx, 1)\n"
        "        raise providers.Unknown(1)\n    await providers.rent(desk.lines)",
    ),
    inexact_money: ("wallet/service.py", "half = amount // 2"),
    composed_statements: (
        "wallet/sql.py",
        'from numberdesk.base.db import many\nasync def f(tx, a):\n    await many(tx, int, "SELECT $1", f"{a}:hold")',
    ),
}
EVERYWHERE = {imports_in_functions, empty_names, files_without_docstring, swallowed_exceptions}
"""Rules that hold for tests and benchmarks too."""


@pytest.mark.parametrize("rule", BAD_LINES, ids=lambda rule: rule.__name__)
def test_the_house_rule_holds(rule: Rule) -> None:
    folders = ("src", "tests", "bench") if rule in EVERYWHERE else ("src",)
    broken = [finding for folder in folders for source in sources(folder) for finding in rule(source)]
    assert not broken, listed(broken, (rule.__doc__ or "").strip())


@pytest.mark.parametrize("rule", BAD_LINES, ids=lambda rule: rule.__name__)
def test_the_house_rule_bites(rule: Rule) -> None:
    name, text = BAD_LINES[rule]
    assert len(rule(Source(PACKAGE + name, text))) == 1


@pytest.mark.parametrize("rule", GOOD_LINES, ids=lambda rule: rule.__name__)
def test_the_house_rule_lets_right_lines_pass(rule: Rule) -> None:
    name, text = GOOD_LINES[rule]
    assert rule(Source(PACKAGE + name, text)) == []


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / PACKAGE).rglob("*.py")}
    bare = [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()]
    assert not bare, listed(bare, "Give the folder an `__init__.py`: without it the rules about imports look past it.")
