"""Tables beside the cells that one question each asks for: equalised images, real sources, time."""
