"""The same model behind what a user might pick instead; each runs in a virtual environment of its own."""
