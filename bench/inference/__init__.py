"""From a detector's name to logits: weights, device, batches of fixed shape, threads."""
