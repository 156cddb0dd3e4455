"""How a pair is made."""
