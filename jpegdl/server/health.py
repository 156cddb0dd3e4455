"""/healthz and /readyz, for proxies and containers: is the process alive, and should it be sent visitors."""

from collections.abc import Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Health:
    """ASGI middleware. `why_not` returns why no visitor should come now, in one sentence, or None."""

    def __init__(self, app: ASGIApp, why_not: Callable[[], str | None]) -> None:
        self._app = app
        self._why_not = why_not

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = scope["path"].rpartition("/")[2] if scope["type"] == "http" else ""
        if route not in ("healthz", "readyz") or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        reason = self._why_not() if route == "readyz" else None
        content = {"status": "ok"} if reason is None else {"status": "not ready", "reason": reason}
        answer = JSONResponse(content, 200 if reason is None else 503, {"Cache-Control": "no-store"})
        await answer(scope, receive, send)


__all__ = ["Health"]
