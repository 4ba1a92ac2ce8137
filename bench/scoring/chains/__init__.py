"""Chains of corruptions, over many images at once where a corruption can do that."""
