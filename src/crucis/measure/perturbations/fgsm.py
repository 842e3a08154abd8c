"""The fast gradient sign method: one step of eps per pixel against the network, images kept within 0 to 1.

x' = clip(x + eps sign(d loss / d x), 0, 1), on the scale of pixels from 0 to 1 whatever the normalisation of the data.
An image counts as right under attack if the network is right about it both untouched and attacked, so that accuracy
can only fall. For images only.

Cost: three passes forward and one backward per image.
Source: I. Goodfellow, J. Shlens, C. Szegedy, 2015 (arXiv:1412.6572).
Reference case: for a linear network it is the worst case: every margin shrinks by eps times the 1-norm of the
difference of the two classes' weights (away from 0 and 1).
"""

from __future__ import annotations

from ...records import Result
from ..adversary import attacked, result
from ..specimen import Specimen

REVISION = 1
RANDOM = False
TRAINS = False
COLUMNS = {
    "accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "clean_accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "drop": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "success": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "images": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
}
LIMITS = {"eps": "[0, 1]", "images": "[1, 10000000]"}
IDENTITY = {"params": {"eps": 0.0}, "values": {"drop": 0.0, "success": 0.0}}


def perturb(specimen: Specimen, *, eps: float = 0.03137254901960784, images: int = 1000) -> Result:
    """Attack images of the split that was asked for.

    Args:
        eps: largest change of a pixel, pixels from 0 to 1; 8/255 if not given.
        images: how many images; all of the split if there are fewer.

    Returns:
        `accuracy` under attack and `clean_accuracy` with binomial standard errors, `drop` (clean minus attacked),
        `success` (share of the images known before that are lost), `images`.

    Raises:
        Refusal: `not_applicable` for data that are no images, `sealed`, `too_few`, `not_finite`, `unsupported` for a
            network without gradients.
    """
    return result(attacked(specimen, eps=eps, images=images))
