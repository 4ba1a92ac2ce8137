"""Training detectors: recipes, augmentations by the corruptions' names, safe splits, exact resuming."""
