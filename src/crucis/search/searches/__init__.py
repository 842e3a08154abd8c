"""The shelf of searches: `propose(space, told, rungs, seed, *, ...)`, one file each."""
