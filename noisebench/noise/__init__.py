"""What label noise is: recipes, manifests, and the counter-based hash that draws it. No torch."""
