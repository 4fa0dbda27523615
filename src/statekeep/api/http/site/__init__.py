"""Pages for people: signing in, letting devices in, invitations, and what they have here. They work without scripts and fetch nothing."""
