"""Projected gradient descent: many small steps against the network from random starts, within eps of every pixel.

x <- clip(x + step sign(d loss / d x)) onto the box of half-width eps around the image, and onto 0 to 1; on the scale of
pixels from 0 to 1 whatever the normalisation of the data. An image counts as right under attack if the network is right
about it untouched and about every image on the way, in every restart: the attacker keeps the best that was seen. For
images only.

Cost: restarts x (steps + 2) passes forward and restarts x steps backward per image.
Source: A. Madry, A. Makelov, L. Schmidt, D. Tsipras, A. Vladu, 2018 (arXiv:1706.06083); we keep the best image on the
way, not the last one.
Reference case: for a linear network it reaches the worst case in closed form (see `fgsm`) if steps x step >= 2 eps.
"""

from __future__ import annotations

from ...records import Result
from ..adversary import attacked, result
from ..specimen import Specimen

REVISION = 1
RANDOM = True
TRAINS = False
COLUMNS = {
    "accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "clean_accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "drop": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "success": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "images": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
}
LIMITS = {"eps": "[0, 1]", "steps": "[1, 100000]", "step": "(0, 1]", "restarts": "[1, 1000]", "images": "[1, 10000000]"}
EXAMPLE = {"steps": 3, "restarts": 2}
IDENTITY = {"params": {"eps": 0.0}, "values": {"drop": 0.0, "success": 0.0}}


def perturb(
    specimen: Specimen,
    *,
    eps: float = 0.03137254901960784,
    steps: int = 10,
    step: float | None = None,
    restarts: int = 1,
    images: int = 1000,
) -> Result:
    """Attack images of the split that was asked for.

    Args:
        eps: largest change of a pixel, pixels from 0 to 1; 8/255 if not given.
        steps: gradient steps from each start.
        step: how far a pixel moves in one; 2.5 x eps / steps if not given, at most eps.
        restarts: random starts in the box, drawn from the stream of the cell's seed; an image has to withstand all.
        images: how many images; all of the split if there are fewer.

    Returns:
        `accuracy` under attack and `clean_accuracy` with binomial standard errors, `drop` (clean minus attacked),
        `success` (share of the images known before that are lost), `images`.

    Raises:
        Refusal: `not_applicable` for data that are no images, `sealed`, `too_few`, `not_finite`, `unsupported` for a
            network without gradients.
        Stopped: asked to; the attack starts again next time.
    """
    return result(attacked(specimen, eps=eps, steps=steps, step=step, restarts=restarts, images=images))
