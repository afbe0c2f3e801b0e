"""From logs and result records to statistics, tables and figures."""
