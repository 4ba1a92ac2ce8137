"""The images of a training: which there are by split, their pixels, augmentations and batches."""
