"""Checking data sets for damage and repairing them: the parts of ``datasets_tools.verify``."""
