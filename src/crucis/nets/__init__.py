"""Architectures (a shelf), the bridges to timm and torchvision, and how weights are kept.

A net file has `build(input, classes, *, ...)`, which draws initial weights from torch's global generator (the caller
lends it a stream), and `count(input, classes, *, ...)`, the number of trained parameters in closed form.
"""

#: Raised when the numbers of every net change, for instance by another way of building blocks.
REVISION = 1
