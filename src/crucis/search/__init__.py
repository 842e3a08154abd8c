"""From the results of trials to the next trials. Knows spaces of numbers and scores; no network and no study.

A search proposes in generations: the next one is a pure function of the space, the seed and the results of the earlier
ones, never of how many workers there are, so that a search that was interrupted ends with the trials of one that was
not.
"""

REVISION = 1
