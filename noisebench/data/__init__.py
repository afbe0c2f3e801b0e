"""Training samples: what the loader reads, in which order, with which augmentation."""
