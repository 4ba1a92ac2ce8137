"""Certificates of robustness: what is counted, image by image, with forward passes alone."""
