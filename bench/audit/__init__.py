"""What a data set gives away without its pictures being looked at, and which images it holds twice."""
