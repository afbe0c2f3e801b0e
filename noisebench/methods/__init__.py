"""Methods, one file each, found by scan."""
