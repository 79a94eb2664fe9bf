"""Who changed which limits, and taking a change back."""

from hub_ext.errors import PublicError

from ..limits_models import History
from ..views.limits import LABELS
from ..views.limits_words import batch_view
from .limits_base import LimitsAdminHandler

PER_PAGE = 50
SCOPES = ("user", "group", "default")


class HistoryPage(LimitsAdminHandler):
    """All changes, the newest first."""

    async def get(self) -> None:
        given = self.query()
        shown = {
            "scope": given.get("scope", "") if given.get("scope") in SCOPES else "",
            "name": given.get("name", "").strip()[:255],
            "who": given.get("who", "").strip()[:255],
            "field": given.get("field", "") if given.get("field") in LABELS else "",
        }
        page = page_of(given.get("page", ""))
        found = await self.part(self.services.limits.history(self.token, {**shown, "page": page, "per_page": PER_PAGE}))
        history: History = found.value or History()
        self.show(
            "portal/limits_history.html",
            history_error=found.error,
            batches=[batch_view(one, self.now()) for one in history.batches],
            total=history.total,
            shown=shown,
            page=page,
            more=page * PER_PAGE < history.total,
            labels=LABELS,
            flash=self.take_flash() if not self.is_fragment else "",
        )


class UndoPage(LimitsAdminHandler):
    """Asks first, then takes a change back."""

    async def get(self, batch: str) -> None:
        await self.ask(batch)

    async def post(self, batch: str) -> None:
        reason = self.form().get("reason", "").strip()[:500]
        try:
            await self.services.limits.undo(self.token, batch, reason)
        except PublicError as error:
            await self.ask(batch, error, reason)
            return
        self.done("The change was undone.", "admin/limits/history")

    async def ask(self, batch: str, refusal: PublicError | None = None, reason: str = "") -> None:
        found = await self.services.limits.batch(self.token, batch)
        self.show(
            "portal/limits_undo.html",
            batch=batch,
            change=batch_view(found, self.now()),
            refusal=refusal,
            reason=reason,
        )


def page_of(text: str) -> int:
    """Read a page's number; what is none is the first."""
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1
