"""The engine that runs any method on class centres."""
