"""Docs that drift fail: generated pages, links, and every command line that a page shows."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from citytwin import cli
from citytwin.scenario import check
from citytwin.scenario.optimise import read_study

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
IDS = [str(p.relative_to(ROOT)) for p in PAGES]

spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "reference" / "generate.py")
assert spec is not None
assert spec.loader is not None
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)


@pytest.mark.parametrize("page", generate.PAGES)
def test_a_generated_page_says_what_the_declarations_say(page: str) -> None:
    now = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert now == generate.PAGES[page]() + "\n", "run: python docs/reference/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def _commands(text: str) -> list[str]:
    blocks = re.findall(r"```(?:sh|bash|console|shell)\n(.*?)```", text, re.DOTALL)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("citytwin ")]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_line_shown_is_one_that_citytwin_has(page: Path) -> None:
    for line in _commands(page.read_text(encoding="utf-8")):
        words = shlex.split(line, comments=True)[1:]
        words = words[: next((i for i, w in enumerate(words) if w in ("|", ">", "&", "&&")), len(words))]
        command: click.Command = cli.root
        while isinstance(command, click.Group):
            assert words, f"{page.name}: {line}"
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, f"{page.name}: {line}"
            command = found
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in options, f"{page.name}: {line}"


# The scenario of this page needs the plug-in that the page makes; tests/conformance installs it and checks the page.
OF_A_PLUGIN = ROOT / "docs" / "how-to" / "add-a-hazard.md"


@pytest.mark.parametrize("page", [p for p in PAGES if p != OF_A_PLUGIN])
def test_every_scenario_shown_is_a_good_one(page: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        said = yaml.safe_load(block)
        if isinstance(said, dict) and "hazards" in said and "name" in said:
            assert check(said, page.parent) == [], page.name


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda p: p.name)
def test_every_example_is_a_good_scenario_or_study(path: Path) -> None:
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    if "decisions" in said:
        assert read_study(path)
    else:
        assert check(said, path.parent) == []
