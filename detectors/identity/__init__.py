"""What makes a detector the one it is: the code it runs and the values it holds."""
