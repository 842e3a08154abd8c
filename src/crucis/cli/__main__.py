"""`python -m crucis.cli`, the same as `crucis`."""

from . import main

if __name__ == "__main__":
    raise SystemExit(main())
