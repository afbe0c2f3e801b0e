"""Verification and embedding of test sets."""
