"""Conditions that differ in strength alone: curves over severity, and budgets that lie in each other."""
