"""Language and theme, kept in the browser."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse

from node.domain.wording import Language
from node.web.auth.security import OPEN
from node.web.layout import LANGUAGE_COOKIE, THEME_COOKIE, THEMES

router = APIRouter(include_in_schema=False)
_YEAR_S = 365 * 86400


@router.get("/preferences", dependencies=[OPEN])
def choose(
    request: Request,
    back: Annotated[str, Query(max_length=2000)] = "/",
    language: str = "",
    theme: str = "",
) -> RedirectResponse:
    """Remember what was chosen and go back to the page it was chosen on."""
    answer = RedirectResponse(_local_path(back), status_code=303)
    secure = request.url.scheme == "https"
    for name, value, known in (
        (LANGUAGE_COOKIE, language, tuple(Language)),
        (THEME_COOKIE, theme, THEMES),
    ):
        if value in known:
            answer.set_cookie(
                name, value, max_age=_YEAR_S, httponly=True, samesite="lax", secure=secure
            )
    return answer


def _local_path(back: str) -> str:
    """The path, or ``/`` for what a browser could take for another host's address."""
    safe = back.startswith("/") and back[1:2] not in ("/", "\\") and back.isprintable()
    return back if safe else "/"
