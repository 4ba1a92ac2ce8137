"""What can be named: listings for `bench ls`, facts for `bench show`."""
