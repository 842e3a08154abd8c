"""The shelf of augmentations; how they compose stands in `crucis.data.augmenting`."""
