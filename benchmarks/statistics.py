"""Our statistics against rliable and deep-significance: the command of `peers.py`, which says what is measured.

    python benchmarks/statistics.py [--rounds 3] [--peers FOLDER]

A script's folder comes first in the search for modules, so that this file stands before the standard library's module
of the same name, which NumPy, pandas and the scripts beside it import. They get that module from here: the folder is
taken out of the search, and what they asked for is put in this file's place.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

_HERE = os.path.realpath(__file__).rpartition(os.sep)[0]
_found = list(sys.path)
sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder) != _HERE]

if __name__ == "__main__":
    _spec = importlib.util.spec_from_file_location("peers", os.path.join(_HERE, "peers.py"))  # noqa: PTH118
    assert _spec is not None and _spec.loader is not None
    _peers = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_peers)
    _peers.main()
else:
    del sys.modules[__name__]
    importlib.import_module(__name__)
    sys.path[:] = _found
