"""How large a network is: its parameters, buffers and bytes.

Arguments: none. Works on trained and untrained networks. Tied parameters count once.
Cost: no forward pass.
Reference case: a linear map from 3 to 2 with bias has 8 parameters and 32 bytes.
"""

from __future__ import annotations

from ...errors import Refusal
from ...records import Result
from ..specimen import Specimen

REVISION = 1
COLUMNS = {
    "parameters": {"unit": "count", "range": [0, None], "axes": [], "headline": True},
    "trainable": {"unit": "count", "range": [0, None], "axes": [], "headline": False},
    "buffers": {"unit": "count", "range": [0, None], "axes": [], "headline": False},
    "bytes": {"unit": "bytes", "range": [0, None], "axes": [], "headline": False},
}


def measure(specimen: Specimen) -> Result:
    """Count the numbers that make up the network.

    Returns:
        `parameters` (all), `trainable` (those with gradients), `buffers` (numbers that are no parameters, such as
        running statistics), `bytes` of both together.

    Raises:
        Refusal: `not_applicable`, if the subject is no network.
    """
    if specimen.model is None:
        raise Refusal("not_applicable", "works on a network; 'of' names something else")
    parameters, buffers = list(specimen.model.parameters()), list(specimen.model.buffers())
    return Result(
        values={
            "parameters": sum(p.numel() for p in parameters),
            "trainable": sum(p.numel() for p in parameters if p.requires_grad),
            "buffers": sum(b.numel() for b in buffers),
            "bytes": sum(t.numel() * t.element_size() for t in [*parameters, *buffers]),
        }
    )
