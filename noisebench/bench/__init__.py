"""Methods x noise x seeds: the plan, the store of results, and running what is missing."""
