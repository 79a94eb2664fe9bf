"""All values as a file: download, and upload with a look at what it would change."""

from hub_ext.errors import PublicError

from ..views.words import count
from .limits_base import LimitsAdminHandler

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
        self.show("portal/limits_import.html", text="", plan=None, merge=True, refusal=None)

    async def post(self) -> None:
        form = self.form()
        merge = form.get("merge") == "1"
        try:
            text = self.given_text(form)
            apply = "apply" in form
            limits = self.services.limits
            plan = await (limits.load if apply else limits.plan)(self.token, text.encode(), merge=merge)
        except PublicError as error:
            kept = form.get("text", "")
            self.show("portal/limits_import.html", text=kept, plan=None, merge=merge, refusal=error)
            return
        if apply:
            changes = count(len(plan.changes), "change") if plan.changes else "nothing was different"
            self.flash(f"Imported: {changes}.")
            self.redirect(f"{self.portal_url}admin/limits/history", status=303)
            return
        self.show("portal/limits_import.html", text=text, plan=plan, merge=merge, refusal=None)

    def given_text(self, form: dict[str, str]) -> str:
        """Return the uploaded file, else what stands in the text field."""
        files = self.request.files.get("file") or []
        raw = (
            files[0]["body"] if files and files[0]["body"] else self.get_body_argument("text", "", strip=False).encode()
        )
        if not raw.strip():
            raise PublicError("bad-request", "There is nothing to import.", remedy="Choose a file or paste its text.")
        if len(raw) > MAXIMUM_BYTES:
            raise PublicError("request-too-large", f"The file is larger than {MAXIMUM_BYTES // 1024 // 1024} MB.")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PublicError("bad-request", "The file is not text in UTF-8.") from error
