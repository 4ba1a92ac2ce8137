"""What knows nothing of the field: files, TOML, progress, figures."""
