"""What the core may lean on; the import contracts say what it may not."""

import ast
import sys

from tests.laws import repository

ALLOWED = {
    *("msgspec", "whenever", "re2", "rfc8785", "liquid", "phonenumbers", "email_validator", "jsonpatch"),
    # Of cryptography only what checks signatures; flufl.bounce reads e-mails.
    *("jsonpath_rfc9535", "markdown_it", "mjml", "cryptography", "flufl"),
}
"""Libraries without I/O, clock or dice."""


def imported(tree: ast.AST) -> set[str]:
    """The dotted names that a file imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_fit(name: str) -> bool:
    """Whether the core may import this."""
    root = name.split(".", maxsplit=1)[0]
    if root == "heliograph":
        return name.startswith(("heliograph.core.", "heliograph.errors"))
    return root in ALLOWED or (root in sys.stdlib_module_names and not name.startswith("urllib.request"))


def test_the_core_leans_on_pure_libraries_alone() -> None:
    """The core imports itself, the errors, the standard library and the listed libraries."""
    found = {
        repository.name(path): unfit
        for path in repository.under("src/heliograph/core")
        if (unfit := {name for name in imported(repository.syntax(path)) if not is_fit(name)})
    }
    assert found == {}
