"""Documents that can be checked are."""

import ast
import gc
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from temporalio import workflow

from workflows.connection import ConnectionWorkflow
from workflows.messages import StartConnection
from workflows.names import SEARCH_ATTRIBUTES

ROOT = Path(__file__).parents[2]
ROOMS = {
    "activities",
    "client",
    "domain",
    "gateway",
    "moorline",
    "providers",
    "storage",
    "workflows",
}
MESSAGES = (ROOT / "docs" / "messages.md").read_text()


def test_every_message_of_the_workflow_is_documented_and_no_other() -> None:
    definition = workflow._Definition.must_from_class(ConnectionWorkflow)
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## )", MESSAGES, re.MULTILINE | re.DOTALL))
    for section, names in (
        ("Updates", definition.updates),
        ("Signals", definition.signals),
        ("Queries", definition.queries),
    ):
        table = sections[section].split("| type of a refusal")[0]
        assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(names), section


def test_every_field_of_the_start_is_documented() -> None:
    for name in StartConnection.model_fields:
        assert f"`{name}`" in MESSAGES


def test_every_search_attribute_is_documented() -> None:
    for key in SEARCH_ATTRIBUTES:
        assert f"`{key.name}`" in MESSAGES


def test_every_dependency_has_its_line_of_why() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += extra
    text = (ROOT / "docs" / "dependencies.md").read_text()
    assert [name for name in wanted if name not in text] == []


def test_what_is_imported_was_not_all_named_as_a_dependency() -> None:
    """Bug: python-dotenv, starlette and protobuf came along with others, until they would not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {re.split(r"[\[=<>]", name)[0].lower() for name in project["dependencies"]}
    owners = packages_distributions()
    modules = {
        module
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        for module in imported(file)
    }
    others = modules - set(sys.stdlib_module_names) - ROOMS
    distributions = {owners[module][0].lower().replace("_", "-") for module in others}
    assert distributions <= named


def imported(file: Path) -> Iterator[str]:
    """The top-level modules that a file imports."""
    gc.disable()  # what is collected while Python 3.11 parses may make it lose count of its depth
    try:
        tree = ast.parse(file.read_text())
    finally:
        gc.enable()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def test_keys_and_state_were_baked_into_an_image() -> None:
    """Bug: `.env` was not among what is left out of one."""
    left_out = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".env", "**/.env", ".moorline", "**/.moorline", ".git", ".venv"} <= set(left_out)


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    broken = [
        f"{document.name}: {target}"
        for document in documents
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert broken == []


def test_every_test_that_a_document_names_is_there() -> None:
    named = {
        (file, test)
        for document in (ROOT / "docs").glob("*.md")
        for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", document.read_text())
    }
    assert named
    assert {
        f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text()
    } == set()
