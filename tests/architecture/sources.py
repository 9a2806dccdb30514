"""The files of the project as the rules of this folder look at them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "src/numberdesk/"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file. `name` is its path from the root, such as `src/numberdesk/wallet/sql.py`."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)

    @cached_property
    def part(self) -> str:
        """The slice, or the folder or file at the top, that it belongs to."""
        return self.name.removeprefix(PACKAGE).split("/")[0].removesuffix(".py")

    @property
    def module(self) -> str:
        """The name it is imported by."""
        return self.name.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def is_sql(self) -> bool:
        """Whether statements may stand in it."""
        return self.name.startswith(PACKAGE) and self.name.removeprefix(f"{PACKAGE}{self.part}/").startswith("sql")

    def functions(self) -> Iterator[Function]:
        """Yield every function, methods and inner ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def at(self, node: ast.stmt | ast.expr | ast.excepthandler, text: str) -> str:
        """Return a finding with its place."""
        return f"{self.name}:{node.lineno}: {text}"

    @cached_property
    def imported(self) -> dict[str, str]:
        """What each imported name stands for, such as `providers` for `numberdesk.providers.service`."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {(item.asname or item.name): item.name for item in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {(item.asname or item.name): f"{node.module}.{item.name}" for item in node.names}
        return found

    def called(self, call: ast.Call) -> str:
        """Return the full dotted name of what a call calls, as far as imports tell; else its text."""
        head, dot, rest = ast.unparse(call.func).partition(".")
        return self.imported.get(head, head) + dot + rest


@cache
def sources(folder: str) -> tuple[Source, ...]:
    """Read every Python file below `src`, `tests` or `bench`."""
    paths = (path for path in files() if path.suffix == ".py" and path.is_relative_to(ROOT / folder))
    return tuple(Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths)


@cache
def files() -> tuple[Path, ...]:
    """Return every file of the project: all that `.gitignore` does not name, whether git is there or not."""
    patterns = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()]
    ignored = [".git", *(pattern for pattern in patterns if pattern and not pattern.startswith("#"))]

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            names = (path.name, path.relative_to(ROOT).as_posix())
            if any(fnmatch(name, pattern) for name in names for pattern in ignored):
                continue
            if path.is_dir():
                yield from walk(path)
            else:
                yield path

    return tuple(walk(ROOT))


def listed(findings: list[str], advice: str) -> str:
    """Word the message of a broken rule: what to do, then every place."""
    return "\n".join([advice, *(f"  {finding}" for finding in sorted(set(findings)))])
