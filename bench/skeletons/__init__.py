"""Files to start from: a plug-in of each kind that runs as it is written (`bench new`)."""
