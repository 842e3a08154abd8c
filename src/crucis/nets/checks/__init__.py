"""What can be known of a network before any training: one function per check, each from a subject to findings."""
