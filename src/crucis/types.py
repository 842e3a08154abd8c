"""Names for annotations of leaf parameters that plain Python types cannot say; read as text by the language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

#: `30 epochs`, `5000 steps`, `plateau`
Length: TypeAlias = str
#: a length, or a share of the whole between 0 and 1
LengthOrShare: TypeAlias = float | str
#: a leaf of the shelf that `LEAVES` names: its name, or {name: {parameter: value}}
Leaf: TypeAlias = Any
#: rules over a running training: {condition: action}
Watch: TypeAlias = Mapping[str, Any]
#: which part of a data set, with which labels
View: TypeAlias = Mapping[str, Any]
