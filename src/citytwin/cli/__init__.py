"""The command line: one file per noun. Results on stdout, words and progress on stderr, an error is one line."""

from __future__ import annotations

import errno
import importlib
import sys

import click

from citytwin import __version__
from citytwin.errors import EXIT_CODES, InputError, OutsideError, TwinError, exit_code, nearest

# Which module and attribute holds each command; a module is imported only when its command is called.
COMMANDS: dict[str, tuple[str, str]] = {
    "city": ("citytwin.cli.city", "city"),
    "run": ("citytwin.cli.run", "run"),
    "check": ("citytwin.cli.run", "check"),
    "compare": ("citytwin.cli.run", "compare"),
    "report": ("citytwin.cli.report", "report"),
    "serve": ("citytwin.cli.serve", "serve"),
    "demo": ("citytwin.cli.serve", "demo"),
    "devices": ("citytwin.cli.devices", "devices"),
    "events": ("citytwin.cli.events", "events"),
    "forecast": ("citytwin.cli.forecast", "forecast"),
    "optimise": ("citytwin.cli.optimise", "optimise"),
    "rules": ("citytwin.cli.rules", "rules"),
    "channels": ("citytwin.cli.channels", "channels"),
    "journal": ("citytwin.cli.channels", "journal"),
    "columns": ("citytwin.cli.reference", "columns"),
    "simulators": ("citytwin.cli.reference", "simulators"),
    "schema": ("citytwin.cli.reference", "schema"),
    "doctor": ("citytwin.cli.reference", "doctor"),
}


class Commands(click.Group):
    """A group whose commands live in modules that are imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command called `name`. Raises InputError with the nearest name."""
        if name not in COMMANDS:
            raise InputError(f'no command "{name}"', hint=nearest(name, COMMANDS))
        module, attribute = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="citytwin")
def root() -> None:
    """A live digital twin of a city for crisis simulation and response."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code is 0 done, 2 wrong input, 3 something outside failed, 4 the simulation failed."""
    try:
        root.main(args=arguments, prog_name="citytwin", standalone_mode=False)
    except TwinError as error:
        return _fail(str(error), exit_code(error))
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return EXIT_CODES[InputError]
    except click.UsageError as error:
        return _fail(error.format_message(), EXIT_CODES[InputError])
    except click.ClickException as error:
        return _fail(error.format_message(), EXIT_CODES[InputError])
    except (click.Abort, KeyboardInterrupt):
        return _fail("stopped", 130)
    except BrokenPipeError:
        return 0
    except MemoryError:
        return _fail("not enough memory", EXIT_CODES[OutsideError])
    except OSError as error:
        words = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error)
        return _fail(f"{error.filename}: {words}" if error.filename else words, EXIT_CODES[OutsideError])
    return 0


def _fail(line: str, code: int) -> int:
    print(f"citytwin: {' '.join(line.split())}", file=sys.stderr)
    return code


def entry() -> None:
    """What the installed `citytwin` program calls."""
    sys.exit(main())
