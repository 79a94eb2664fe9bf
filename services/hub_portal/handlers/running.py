"""My kernels, everyone's for administrators, and stopping one."""

from typing import Any

from hub_ext.cluster import Applications
from hub_ext.errors import PublicError
from hub_ext.names import is_kernel_id

from ..models import RunningKernel
from ..views.running import ended_rows, kernel_rows
from ..views.warm_start import WarmStartBox, warm_start_box
from .base import PortalHandler, gathered


class MyKernelsPage(PortalHandler):
    """Running kernels."""

    template = "portal/my_kernels.html"

    async def get(self) -> None:
        values, warm_start = await gathered(self.values(), self.part(self.warm_start()))
        self.show(self.template, **values, warm_start=warm_start.value, flash=self.take_flash())

    def login_target(self) -> str:
        return f"{self.portal_url}my-kernels"

    async def warm_start(self) -> WarmStartBox | None:
        """Return what there is to say about kernels that start in advance; None where none does."""
        gateway, name = self.services.gateway, self.who.name
        found, catalogue = await gathered(
            gateway.warm_start(name, self.token), self.part(gateway.catalogue(name, self.token))
        )
        return warm_start_box(found, catalogue.value.titles if catalogue.value else {})

    async def values(self) -> dict[str, Any]:
        """Ask for kernels and what YARN knows of them."""
        services, name = self.services, self.who.name
        everyone = bool(self.get_query_argument("everyone", "")) and self.who.kernels_admin
        kernels, applications, catalogue, ended = await gathered(
            self.part(
                services.gateway.all_kernels(self.token) if everyone else services.gateway.kernels(name, self.token)
            ),
            self.part(services.edge.applications(user=name) if everyone else self.own_applications()),
            self.part(services.gateway.catalogue(name, self.token)),
            self.part(services.limits.ended_kernels(name, self.token)),
        )
        titles = catalogue.value.titles if catalogue.value else {}
        known: Applications | None = applications.value
        return {
            "everyone": everyone,
            "rows": kernel_rows(
                kernels.value or (),
                known.applications if known else None,
                titles,
                self.now(),
            ),
            "ended": () if everyone else ended_rows(ended.value or (), titles, self.now()),
            "kernels_error": kernels.error,
            "applications_error": applications.error,
            "applications_stale": known.error if known and known.stale else "",
            "server_href": f"{services.hub_prefix}spawn",
        }


class MyKernelsLive(MyKernelsPage):
    """What changes on that page."""

    template = "portal/my_kernels_live.html"

    async def get(self) -> None:
        self.show(self.template, **await self.values())


class WarmStartPage(PortalHandler):
    """Switches on or off that one's last kernel starts together with one's notebook server."""

    def login_target(self) -> str:
        return f"{self.portal_url}my-kernels"

    async def get(self) -> None:
        self.redirect(self.login_target())

    async def post(self) -> None:
        on = self.get_body_argument("on", "") == "1"
        await self.services.gateway.want_warm_start(self.who.name, self.token, on)
        when = "starts together with your notebook from now on" if on else "starts when you ask for it"
        self.flash(f"Your last kernel {when}.")
        self.redirect(self.login_target(), status=303)


class StopPage(PortalHandler):
    """Asks first, then ends a kernel."""

    def login_target(self) -> str:
        return f"{self.portal_url}my-kernels"

    def owner(self, given: str) -> str:
        """Return whose kernel it is: one's own, unless an administrator names another person."""
        return given if given and self.who.kernels_admin else self.who.name

    async def get(self, kernel_id: str) -> None:
        kernel = await self.find(kernel_id, self.owner(self.get_query_argument("owner", "")))
        titles = (await self.part(self.services.gateway.catalogue(self.who.name, self.token))).value
        self.show(
            "portal/stop.html",
            kernel_id=kernel.id,
            title=titles.titles.get(kernel.kernelspec, kernel.kernelspec) if titles else kernel.kernelspec,
            owner=kernel.owner or self.who.name,
        )

    async def post(self, kernel_id: str) -> None:
        owner = self.owner(self.get_body_argument("owner", ""))
        if not is_kernel_id(kernel_id):
            raise no_such_kernel()
        await self.services.gateway.stop(owner, kernel_id, self.token)
        mine = owner == self.who.name
        self.flash("The kernel was stopped." if mine else f"The kernel of {owner} was stopped.")
        self.redirect(f"{self.portal_url}my-kernels" + ("" if mine else "?everyone=1"), status=303)

    async def find(self, kernel_id: str, owner: str) -> RunningKernel:
        """Return a kernel from the person's list, so that the page names it rightly."""
        if is_kernel_id(kernel_id):
            for kernel in await self.services.gateway.kernels(owner, self.token):
                if kernel.id == kernel_id:
                    return kernel
        raise no_such_kernel()


def no_such_kernel() -> PublicError:
    """Make the error for a kernel that is not in the list."""
    return PublicError(
        "no-such-kernel", "This kernel is not running (any more).", remedy="See My kernels for those that are."
    )
