"""The demonstration: a fictional region, the loader that publishes it, and the story told on the terminal."""
