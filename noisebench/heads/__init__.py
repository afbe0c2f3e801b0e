"""Heads: class centres and the loss on them. ``margin_softmax`` is the engine that runs the files of ``methods``."""
