"""What a browser may do with this page: headers that an embedded Space can bear.

Gradio's page runs scripts that stand in it, and builds functions from text, so scripts cannot be bound further; what
the policy does hold is where they come from and where they may send anything: here only. Framing stays open, because
a Space is a frame on huggingface.co.
"""

import os

_POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
_ON_A_SPACE = {"script-src": "https://cdnjs.cloudflare.com"}  # the frame's resizer


def headers() -> dict[str, str]:
    """Headers for every answer; a Space's page may load what Hugging Face puts around it."""
    extra = _ON_A_SPACE if os.environ.get("SYSTEM") == "spaces" else {}
    policy = "; ".join(f"{name} {sources} {extra.get(name, '')}".strip() for name, sources in _POLICY.items())
    return {
        "Content-Security-Policy": policy,
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


__all__ = ["headers"]
