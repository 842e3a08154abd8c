"""Training: the one loop, its optimisers, schedules, recipes and protocols. Knows no instrument and no study."""

REVISION = 1
