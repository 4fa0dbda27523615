"""What the world talks to."""
