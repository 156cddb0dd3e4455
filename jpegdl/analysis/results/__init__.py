"""What the cards say, as text: docs/results.md and single sentences. Reads cards; computes nothing about pictures."""
