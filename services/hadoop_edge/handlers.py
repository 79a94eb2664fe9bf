"""The edge API. Every call under ``/api`` carries the shared token."""

import hmac
import logging
import re
from urllib.parse import unquote

from prometheus_client import Counter

from hub_ext.cluster import Application, Applications
from hub_ext.edge import ACTING_USER_HEADER
from hub_ext.errors import PublicError
from hub_ext.logs import about
from hub_ext.names import APPLICATION_ID_PATTERN, CLUSTER_USER_PATTERN, is_kernel_id
from hub_ext.web.handlers import JSONHandler
from hub_ext.web.identity import header_token

from . import shapes
from .poller import Poller
from .resource_manager import ResourceManagerError

log = logging.getLogger("hadoop_edge.handlers")

MAXIMUM_REASON = 500

ENDED = Counter("hadoop_edge_ended_applications_total", "Applications that were told to end")


class APIHandler(JSONHandler):
    """A handler that answers only to those who hold the token."""

    def initialize(self, poller: Poller, token: str, wait: float) -> None:
        self.poller = poller
        self._token = token
        self.wait = wait

    def prepare(self) -> None:
        given = header_token(self.request.headers)
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            raise PublicError(
                "edge-token",
                "The edge service answers only calls that carry its token.",
                remedy="HUB_EXT_EDGE_TOKEN has to be the same for edge service, gateway and portal.",
                status=401,
            )
        about(user=unquote(self.request.headers.get(ACTING_USER_HEADER, ""))[:200])

    def kernel_id(self, given: str) -> str:
        """Return a kernel id or refuse it."""
        if not is_kernel_id(given):
            raise PublicError("bad-request", "That is not a kernel id.")
        about(kernel=given)
        return given

    async def of_kernel(self, kernel_id: str) -> tuple[Application, ...]:
        """Find a kernel's applications: the ResourceManager is asked for its tag, ended ones too.

        Those that have its id in their names alone, which it can't be asked for, are taken from the last poll.
        """
        manager = self.poller.resource_manager
        tagged = await manager.applications(shapes.applications, applicationTags=kernel_id)
        if not tagged:
            # Whether that is so, or it does not remember yet.
            await manager.info()
            tagged = await manager.applications(shapes.applications, applicationTags=kernel_id)
        found = {one.id: one for one in tagged if kernel_id in one.kernel_ids}
        named = {one.id: one for one in await self.named(kernel_id)}
        return tuple({**named, **found}.values())

    async def named(self, kernel_id: str) -> list[Application]:
        known = (await self.poller.current()).applications
        return [one for one in known if kernel_id in one.kernel_ids and kernel_id not in one.tags]


class ClusterHandler(APIHandler):
    """``GET /api/cluster``: the newest snapshot."""

    async def get(self) -> None:
        found = await self.poller.current(self.wait)
        if found.state.as_of is None:
            raise cluster_unreachable(found.state.error)
        self.set_header("Age", f"{self.poller.age(found):.0f}")
        self.write_json(found.encoded)


class ApplicationsHandler(APIHandler):
    """``GET /api/applications?user=&kernel_id=``.

    Unfinished applications out of the snapshot. With `kernel_id` the ResourceManager is asked afresh, so that
    one that just started or just ended is told rightly.
    """

    async def get(self) -> None:
        user = self.get_query_argument("user", "")
        if user and not re.fullmatch(CLUSTER_USER_PATTERN, user):
            raise PublicError("bad-request", "That is not the name of a cluster user.")
        kernel_id = self.get_query_argument("kernel_id", "")
        answer = await (self.fresh(self.kernel_id(kernel_id)) if kernel_id else self.kept())
        chosen = tuple(one for one in answer.applications if user in ("", one.user))
        self.write_json(answer.model_copy(update={"applications": chosen}).model_dump_json())

    async def kept(self, kernel_id: str = "") -> Applications:
        found = await self.poller.current(self.wait)
        if found.state.as_of is None:
            raise cluster_unreachable(found.state.error)
        chosen = tuple(one for one in found.applications if not kernel_id or kernel_id in one.kernel_ids)
        return Applications(
            as_of=found.state.as_of, stale=found.state.stale, error=found.state.error, applications=chosen
        )

    async def fresh(self, kernel_id: str) -> Applications:
        asked_at = self.poller.now()
        try:
            found = await self.of_kernel(kernel_id)
        except ResourceManagerError as error:
            return (await self.kept(kernel_id)).model_copy(update={"stale": True, "error": str(error)})
        return Applications(as_of=asked_at, stale=False, applications=found)


class KernelApplicationsHandler(APIHandler):
    """``DELETE /api/kernels/ID/applications``: end every application of a kernel that has not ended."""

    async def delete(self, kernel_id: str) -> None:
        kernel_id = self.kernel_id(kernel_id)
        reason = reason_of(self.json_body().get("reason"))
        asked_at = self.poller.now()
        try:
            found = [one for one in await self.of_kernel(kernel_id) if not one.ended]
        except ResourceManagerError as error:
            raise cluster_unreachable(str(error)) from error
        failures = []
        for one in found:
            try:
                await self.end(one, reason)
            except ResourceManagerError as error:
                failures.append(str(error))
        ENDED.inc(len(found) - len(failures))
        names = ",".join(one.id for one in found) or "-"
        log.info("Told YARN to end what runs of the kernel: application=%s failed=%d", names, len(failures))
        if failures:
            raise not_ended(failures)
        self.write_json(Applications(as_of=asked_at, stale=False, applications=tuple(found)).model_dump_json())

    async def end(self, application: Application, reason: str) -> None:
        if not re.fullmatch(APPLICATION_ID_PATTERN, application.id):
            raise ResourceManagerError("The ResourceManager named an application in a form that is not known.")
        manager = self.poller.resource_manager
        owner = application.user if re.fullmatch(CLUSTER_USER_PATTERN, application.user) else manager.user
        await manager.kill(application.id, owner, reason)


def reason_of(given: object) -> str:
    """Return the reason for YARN's diagnostics as one printable line."""
    line = " ".join(given.split()) if isinstance(given, str) else ""
    printable = "".join(character for character in line if character.isprintable())
    return printable[:MAXIMUM_REASON] or "ended by the notebook platform"


def cluster_unreachable(why: str) -> PublicError:
    """Make the error for a ResourceManager that never answered."""
    return PublicError(
        "cluster-unreachable",
        "The Hadoop cluster's ResourceManager does not answer.",
        details=[why] if why else [],
        remedy="Running kernels go on. Try again in a minute; if it stays, tell your Hadoop administrator.",
    )


def not_ended(failures: list[str]) -> PublicError:
    """Make the error for applications that YARN refused to end."""
    return PublicError(
        "applications-not-ended",
        "The Hadoop cluster did not end everything that belongs to this kernel.",
        details=failures,
        remedy="Your Hadoop administrator can end it, or name the edge service's user in yarn.admin.acl.",
        status=502,
    )
