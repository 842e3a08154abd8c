"""From small tables of numbers to estimates with intervals. Knows no study, no store and no torch."""
