"""Detectors that stand in no list: each module here understands one way to spell them.

A module declares ``ADAPTERS = {"pattern": adapter}``; what a user types goes to the first adapter that
recognises it, and to the list of names where none does. Imports no torch until a detector is built.
"""
