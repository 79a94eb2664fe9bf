"""All values as a file: download, and upload with a look at what it would change."""

from hub_ext.errors import PublicError

from ..limits_models import FilePlan
from ..views.limits_form import warnings_digest
from ..views.words import count
from .limits_base import LimitsAdminHandler, confirmed

MOST_REASON = 400
MAXIMUM_BYTES = 4 * 1024 * 1024


class ExportPage(LimitsAdminHandler):
    """The values of default, groups and users as YAML."""

    async def get(self) -> None:
        text = await self.services.limits.export(self.token)
        self.set_header("Content-Type", "application/yaml; charset=utf-8")
        self.set_header("Content-Disposition", 'attachment; filename="limits.yaml"')
        self.finish(text)


class ImportPage(LimitsAdminHandler):
    """Takes such a file: first shows the differences, then makes them."""

    async def get(self) -> None:
        self.show_plan("", None, merge=True)

    async def post(self) -> None:
        form = self.form()
        merge, reason = form.get("merge") == "1", form.get("reason", "").strip()[:MOST_REASON]
        text = self.get_body_argument("text", "", strip=False)
        try:
            text = self.given_text(text)
            if "apply" in form:
                await self.apply(text, form, merge, reason)
            else:
                self.show_plan(text, await self.plan(text, merge), merge=merge, reason=reason)
        except PublicError as error:
            self.show_plan(text, None, merge=merge, reason=reason, refusal=error)

    async def apply(self, text: str, form: dict[str, str], merge: bool, reason: str) -> None:
        """Make the changes that were shown; if the file would make others by now, show those instead."""
        seen = form.get("plan", "")[:100]

        async def load(sure: bool) -> FilePlan:
            return await self.services.limits.load(
                self.token, text.encode(), merge=merge, plan=seen, confirmed=sure, reason=reason
            )

        try:
            done = await confirmed(load, form.get("confirmed", "")[:100])
        except PublicError as error:
            if error.code not in ("limits-changed", "limits-need-confirmation"):
                raise
            other = None if error.code == "limits-need-confirmation" else error
            self.show_plan(text, await self.plan(text, merge), merge=merge, reason=reason, refusal=other)
            return
        self.flash(f"Imported: {count(len(done.changes), 'change') if done.changes else 'nothing was different'}.")
        self.redirect(f"{self.portal_url}admin/limits/history", status=303)

    async def plan(self, text: str, merge: bool) -> FilePlan:
        return await self.services.limits.plan(self.token, text.encode(), merge=merge)

    def show_plan(
        self,
        text: str,
        plan: FilePlan | None,
        *,
        merge: bool,
        reason: str = "",
        refusal: PublicError | None = None,
    ) -> None:
        seen = warnings_digest(plan.warnings) if plan else ""
        values = {"text": text, "plan": plan, "merge": merge, "reason": reason, "refusal": refusal, "seen": seen}
        self.show("portal/limits_import.html", **values)

    def given_text(self, typed: str) -> str:
        """Return the uploaded file, else what stands in the text field, with every space as it is."""
        files = self.request.files.get("file") or []
        raw = files[0]["body"] if files and files[0]["body"] else typed.encode()
        if not raw.strip():
            raise PublicError("bad-request", "There is nothing to import.", remedy="Choose a file or paste its text.")
        if len(raw) > MAXIMUM_BYTES:
            raise PublicError("request-too-large", f"The file is larger than {MAXIMUM_BYTES // 1024 // 1024} MB.")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PublicError("bad-request", "The file is not text in UTF-8.") from error
