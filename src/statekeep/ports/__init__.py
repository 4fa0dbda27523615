"""What the application needs of the world: protocols, each with its promise in words."""
