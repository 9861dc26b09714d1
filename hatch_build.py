"""The wheel's build hook: the page is built into the wheel, unless it is there already or the install is editable."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface[Any]):
    """Builds the web page before a wheel or sdist is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs."""
        built = Path(self.root) / "src" / "citytwin" / "server" / "static" / "index.html"
        if version == "editable" or os.environ.get("CITYTWIN_NO_PAGE") or built.is_file():
            return
        sys.path.insert(0, self.root)
        import build_page

        build_page.build()
