"""Scores that were made elsewhere: read from a table, joined to images, kept as a run; and written as one."""
