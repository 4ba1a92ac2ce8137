"""Image classifiers as the Hugging Face Hub has them: a folder with two JSON files and weights.

The JSON is read here, never by a library: geometry becomes an input rule, normalisation part of the
network, labels a logit. The library builds the layers and nothing else, and no code of a folder is run.
"""
