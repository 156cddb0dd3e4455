"""The JPEG layer and real JPEG files: no network, no page."""
