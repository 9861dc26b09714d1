"""citytwin city: build a city folder from files or services, make one up, and say what one holds."""

from __future__ import annotations

import click


@click.group()
def city() -> None:
    """Make and inspect city folders."""
