"""What the gate asks for, and what two data sets have in common."""
