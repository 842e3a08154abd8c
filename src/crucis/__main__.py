"""`python -m crucis`, the same as `crucis`."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
