"""Mathematics on arrays and on things that multiply vectors. Knows no network and no study."""

REVISION = 1
