"""Backbones, one file a family, found by scan."""
