"""Headers that every answer carries."""

GUARDING = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_KEEP, _ASK, _NEVER = "public, max-age=31536000, immutable", "no-cache", "no-store"
# Browsers come back over HTTPS only, for a year (RFC 6797).
_HTTPS_ONLY = "max-age=31536000"


def for_answer(*, path: str, query: str, status: int, scheme: str) -> dict[str, str]:
    """The headers of one answer; files named with their hash may stay in the browser."""
    headers = GUARDING | {"Cache-Control": _caching(path, query, status)}
    return headers | {"Strict-Transport-Security": _HTTPS_ONLY} if scheme == "https" else headers


def _caching(path: str, query: str, status: int) -> str:
    """What shows patients never stays."""
    if not path.startswith("/static/") or status >= 400:
        return _NEVER
    return _KEEP if query.startswith("v=") else _ASK
