"""Cleaning a data set: what a trained run says of its images, and the manifest that remains. See docs/cleaning.md."""
