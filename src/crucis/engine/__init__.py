"""Content-addressed steps, their store, leases, workers and journal. Knows no deep learning and imports no numpy."""
