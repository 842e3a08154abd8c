"""Property tests draw the same examples on every machine and in every run, and may take their time over each.

Hypothesis's own default is a new draw each time and 200 ms for an example, which a busy machine does not keep. To
search further than the suite does: `pytest --hypothesis-profile default`.
"""

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
