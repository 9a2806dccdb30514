"""How long a function and a file may be."""

import pytest

from tests.architecture.sources import Source, listed, sources

FUNCTION_MAX = 60
FILE_MAX = {"src": 400, "tests": 500, "bench": 500}


@pytest.mark.parametrize("folder", FILE_MAX)
def test_every_file_is_short_enough_to_read_at_once(folder: str) -> None:
    long = [finding for source in sources(folder) for finding in too_long_file(source, FILE_MAX[folder])]
    assert not long, listed(
        long, "Split the file by what it is about. A long `service.py` becomes `service/` with private files."
    )


@pytest.mark.parametrize("folder", FILE_MAX)
def test_every_function_fits_on_a_screen(folder: str) -> None:
    long = [finding for source in sources(folder) for finding in too_long_functions(source)]
    assert not long, listed(long, "Give a part of the function a name of its own.")


def too_long_file(source: Source, limit: int) -> list[str]:
    """Find a file of more lines than allowed."""
    lines = source.text.count("\n")
    return [f"{source.name}: {lines} lines, {limit} are allowed"] if lines > limit else []


def too_long_functions(source: Source) -> list[str]:
    """Find functions of more lines than allowed, decorators aside."""
    return [
        source.at(function, f"`{function.name}` has {lines} lines, {FUNCTION_MAX} are allowed")
        for function in source.functions()
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_MAX
    ]


def test_the_rules_bite() -> None:
    function = "async def f() -> None:\n" + "    pass\n" * (FUNCTION_MAX - 1)
    assert too_long_functions(Source("src/numberdesk/a.py", function)) == []
    assert too_long_functions(Source("src/numberdesk/a.py", f"class A:\n    x = 1\n{function}    pass\n"))
    assert too_long_file(Source("src/numberdesk/a.py", "a = 1\n" * 400), 400) == []
    assert too_long_file(Source("src/numberdesk/a.py", "a = 1\n" * 401), 400)
