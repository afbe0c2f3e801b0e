"""Making and checking data sets: synthetic faces, noise manifests. Also run as ``python -m datasets_tools``."""
