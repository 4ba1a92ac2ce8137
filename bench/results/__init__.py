"""From stored scores to boards, gates, comparisons, exports; imports no torch."""
