"""What holds for the tests themselves: each keeps one promise, and none waits for the clock."""

import ast

from tests.laws import repository


def sleeps(tree: ast.AST) -> list[int]:
    """The lines that sleep; giving way to other tasks with sleep(0) is no sleep."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("time.sleep", "asyncio.sleep", "anyio.sleep", "sleep")
        and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
    ]


def is_sentence(text: str) -> bool:
    """Whether a docstring is one paragraph that ends as a sentence does."""
    return "\n\n" not in text.strip() and text.strip().endswith((".", "!", "?"))


def test_every_test_says_its_promise_in_a_sentence() -> None:
    """A test that fails tells in words what no longer holds."""
    silent = [
        f"{repository.name(path)}:{node.lineno} {node.name}"
        for path in repository.under("tests")
        for node in ast.walk(repository.syntax(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not is_sentence(ast.get_docstring(node) or "")
    ]
    assert silent == []


def test_no_test_sleeps() -> None:
    """Time is an argument or a condition that is waited for, never a nap."""
    found = {
        repository.name(path): lines
        for path in repository.under("tests")
        if (lines := sleeps(repository.syntax(path)))
    }
    assert found == {}


def test_sleeping_is_seen() -> None:
    """The law about sleeping knows a nap from giving way."""
    assert sleeps(ast.parse("time.sleep(1)\nawait asyncio.sleep(0)\nawait asyncio.sleep(delay)")) == [1, 3]
