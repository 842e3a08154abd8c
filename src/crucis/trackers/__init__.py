"""Sinks that show runs in other people's trackers. They are told plain values and know no study, store or engine."""
