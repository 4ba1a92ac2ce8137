"""Looks at scores while they are made: when an estimate is precise enough, when a comparison is decided."""
