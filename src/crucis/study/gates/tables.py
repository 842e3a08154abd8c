"""What each kind of gate asks: its parameters, its checks and which of them are critical. Literals, no code."""

from __future__ import annotations

from typing import Any

#: Kind of gate -> parameter -> (type, default; ... where it is required).
PARAMETERS: dict[str, dict[str, tuple[str, Any]]] = {
    "replication": {
        "of": ("column", ...), "reported": ("number", ...), "source": ("text", ...), "tolerance": ("share", 0.01),
        "repeat": ("count", 3),
    },
    "method": {
        "of": ("comparison", ...), "ablation": ("attribution", ...), "card": ("file", ...), "review": ("review", ...),
        "reproduce": ("count", 3), "guide": ("file", ...), "check": ("texts", ()),
        "better": ("direction", ""),
    },
    "archive": {"of": ("gates", ...), "licence": ("text", ...), "cite": ("file", ...)},
}  # fmt: skip

#: Kind of gate -> check -> whether the gate is rejected where it fails.
CHECKS: dict[str, dict[str, bool]] = {
    "replication": {
        "records": True, "ledger": True, "seeds": True, "reaches": True, "within": False, "repeatable": True,
        "package": False,
    },
    "method": {
        "records": True, "ledger": True, "implemented": True, "ablated": True, "significant": True,
        "not-worse": True, "unsealed-once": True, "reproduced": True, "card": False, "review": False,
        "guide": False, "check": False,
    },
    "archive": {
        "records": True, "ledger": True, "gates": True, "licence": True, "cite": True, "bundle": True, "restored": True,
    },
}  # fmt: skip

#: Checks of whether what is read is what was written; nobody can waive them.
INTEGRITY = ("records", "ledger")

#: What a gate asks of a column of the review where the study writes no condition of its own.
THRESHOLDS: dict[str, str] = {
    "robust_accuracy": "> 0.2",
    "worst_group": "> 0.5",
    "membership_auc": "< 0.6",
    "demographic_parity": "< 0.1",
    "equalised_odds": "< 0.1",
}

LEAST_SEEDS = 3
LEAST_COMPONENTS = 5
LEAST_FILLED = 0.9
MOST_STEPS = 5
ALPHA = 0.05
