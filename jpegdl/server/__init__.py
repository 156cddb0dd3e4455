"""Serving strangers: limits on what they send, where results lie, starting and stopping. No page content."""
