"""Live readings and states for those who listen: heard once, written once, handed to all."""
