"""A run that stops where it knows enough: chunks in a seeded, stratified order, scored in rounds."""
