"""What is computed about a pair."""
