"""Image formats: what each says of its own wholeness, where Pillow would decode a part without a word."""
