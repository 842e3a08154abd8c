"""The JSON Schema of one gate, from the tables that the loader reads."""

from __future__ import annotations

from typing import Any

from .tables import CHECKS, INTEGRITY, PARAMETERS

_TEXT = {"type": "string"}
_TEXTS = {"type": ["string", "array"]}
_FORMS: dict[str, dict[str, Any]] = {
    "number": {"type": ["number", "string"]}, "share": {"type": ["number", "string"]},
    "count": {"type": "integer", "minimum": 1, "maximum": 100}, "texts": _TEXTS, "gates": _TEXTS,
    "review": {"type": ["string", "array", "object"]}, "direction": {"enum": ["higher", "lower"]},
}  # fmt: skip


def gate_schema() -> dict[str, Any]:
    """One branch per kind of gate: its parameters, its checks in `waive` and `mitigate`, nothing else."""
    return {"type": "object", "required": ["gate"], "oneOf": [_kind(kind) for kind in PARAMETERS]}


def _kind(kind: str) -> dict[str, Any]:
    notes = {
        key: {"type": "object", "properties": {name: dict(_TEXT) for name in names}, "additionalProperties": False}
        for key, names in (
            ("waive", [name for name in CHECKS[kind] if name not in INTEGRITY]),
            ("mitigate", [name for name, critical in CHECKS[kind].items() if not critical]),
        )
    }
    parameters = {name: _FORMS.get(form, {"type": "string"}) for name, (form, _) in PARAMETERS[kind].items()}
    needed = [name for name, (_, default) in PARAMETERS[kind].items() if default is ...]
    return {
        "properties": {"gate": {"const": kind}, **parameters, **notes},
        "required": needed,
        "additionalProperties": False,
    }
