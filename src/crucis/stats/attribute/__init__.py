"""The shelf of attributions: how much of an effect belongs to which part."""
