"""The web page: the only user of gradio besides app.py."""
