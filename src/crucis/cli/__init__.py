"""The command line. Parses words and hands over; every command imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of the `crucis` command; returns the exit code.

    0 done; 1 a check found something; 2 bad input; 3 steps failed; 4 steps are blocked or sealed; 130 stopped.
    """
    from .parser import parse

    arguments = parse(sys.argv[1:] if argv is None else argv)
    from ..errors import CrucisError, StudyError

    try:
        return int(arguments.run(arguments) or 0)
    except StudyError as error:
        print(error.report(), file=sys.stderr)
        return error.exit_code
    except CrucisError as error:
        print(f"crucis: {error}", file=sys.stderr)
        return error.exit_code
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        if error.filename is None:
            raise
        print(f"crucis: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe has gone: nothing to say to
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
