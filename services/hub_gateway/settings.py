"""What a site may set of the gateway."""

from typing import Any

from traitlets import Dict, Enum, Float, Int, List, TraitError, Unicode, default, validate

from hub_ext.configured_limits import VARIABLE
from hub_ext.sizes import MINIMUM_OVERHEAD_MB, OVERHEAD_FACTOR
from hub_ext.web.service import Service

from .configured import from_environment
from .environment import reserved

#: Whose kernels start in advance: nobody's, of those who have switched it on, everyone's.
NEVER, CHOSEN, ALWAYS = "never", "chosen", "always"
#: What Enterprise Gateway's process proxy waits at most.
LONGEST_START = 3600


class GatewaySettings(Service):
    """The settings of `HubGateway`."""

    enterprise_gateway_url = Unicode(
        "http://127.0.0.1:8888",
        help="Where Jupyter Enterprise Gateway answers; it should answer nobody else.",
    ).tag(config=True)
    cluster_name = Unicode(
        "default",
        help="""
        Name of the Hadoop cluster. Gateways of different clusters need databases of their own: one with another name
        than its database's first gateway does not start. Without a name, one whose edge service is elsewhere than the
        last gateway's says so in its log.
        """,
    ).tag(config=True)
    edge_url = Unicode("http://127.0.0.1:8899", help="Where the edge service answers.").tag(config=True)
    edge_ca_certs = Unicode(
        help="File with the authority that signed the edge's certificate; empty: the system's."
    ).tag(config=True)
    database_url = Unicode(
        help="""
        The database that keeps who owns which kernel: ``sqlite:////path/file.sqlite`` or
        ``postgresql://user:password@host/name``. Default: the variable HUB_EXT_DATABASE_URL, also as
        HUB_EXT_DATABASE_URL_FILE.
        """
    ).tag(config=True)
    user_domain = Unicode(help="The same as RemoteKernelMixin.user_domain.").tag(config=True)
    launch_timeout = Int(
        300,
        help="""
        Seconds a kernel may take until its driver reports, waiting for room in the cluster included; at most 3600. The
        notebook says meanwhile where the start is, and no other timeout on the way is shorter.
        """,
    ).tag(config=True)
    submissions_at_once = Int(
        5,
        help="""
        Kernels that are being submitted to YARN at the same time at most. A submission takes most of a processor for
        seconds; the others wait in a line in which users take turns, and see how many are ahead of them.
        """,
    ).tag(config=True)
    allowed_env = List(
        Unicode(),
        help="""
        Names of variables that a client may pass to its kernel. Names that Enterprise Gateway, Spark, Hadoop, Java or
        Python read can't be allowed: a kernel's size, queue and user are the definition's and the gateway's own.
        """,
    ).tag(config=True)
    maximum_upload_bytes = Int(
        256 * 1024 * 1024,
        help="""
        Largest body that is read to its end, without being kept, so that its sender can be told that it is too large;
        of a larger one the connection is cut off.
        """,
    ).tag(config=True)
    token_cache_seconds = Int(
        60,
        help="Seconds for which the Hub's answer about a token is remembered; a revoked one works that much longer.",
    ).tag(config=True)
    reauthorize_interval = Float(
        60.0, help="Seconds between two checks that an open websocket's token and right still hold."
    ).tag(config=True)
    connect_timeout = Float(
        90.0,
        help="""
        Seconds for the websocket handshake with Enterprise Gateway, which asks the kernel for its kernel_info first and
        gives up on that after 60 seconds.
        """,
    ).tag(config=True)
    caretaker_interval = Float(
        15.0,
        help="""
        Seconds between two rounds of the caretaker: the longest time for which a start that a gateway's death broke
        off counts against its owner's limits.
        """,
    ).tag(config=True)
    dead_server_grace = Float(
        120.0,
        help="Seconds for which a notebook server must be gone from the Hub before the kernels it started are stopped.",
    ).tag(config=True)

    configured_limits = Dict(
        help=f"""
        The limits that the Hub's configuration gives, under the values of the administration pages: ``default``,
        ``groups``, ``users`` and ``most_restrictive_group``. Default: the variable {VARIABLE}, which
        ``hub_ext.configure`` sets.
        """
    ).tag(config=True)
    cluster_state_max_age = Float(
        60.0,
        help="""
        Seconds after which what is known of the cluster is too old to start kernels by. The clocks of this machine and
        of the edge node have to agree to within a few seconds.
        """,
    ).tag(config=True)
    spark_overhead_factor = Float(
        OVERHEAD_FACTOR, help="Share of each heap that is counted and asked for beside it, where a kernel says nothing."
    ).tag(config=True)
    spark_minimum_overhead_mb = Int(
        MINIMUM_OVERHEAD_MB, help="The least memory beside each heap (MiB), where a kernel says nothing."
    ).tag(config=True)
    cull_notice = Float(
        600.0,
        help="""
        Seconds of notice before a kernel is stopped for being idle or for its age; half of the limit if that is
        shorter.
        """,
    ).tag(config=True)
    missing_grace = Float(
        45.0,
        help="Seconds for which a running kernel must be missing in Enterprise Gateway or in YARN before it is ended.",
    ).tag(config=True)
    warm_start = Enum(
        (NEVER, CHOSEN, ALWAYS),
        NEVER,
        help="""
        Whether the kernel that a person used last starts together with their notebook server, so that their first
        notebook finds it running: ``never``, ``chosen`` (people switch it on for themselves, on My kernels) or
        ``always``. It counts within its owner's limits and gives way to any other kernel of theirs. The Hub has to say
        when a notebook server starts: `configure` sets this and ``RemoteKernelMixin.warm_start`` together.
        """,
    ).tag(config=True)
    warm_start_seconds = Float(
        600.0,
        help="Seconds after which a kernel that was started in advance and that nobody has used is ended.",
    ).tag(config=True)
    people_interval = Float(300.0, help="Seconds between two looks at the Hub's list of users and their groups.").tag(
        config=True
    )

    @default("database_url")
    def _default_database_url(self) -> str:
        return self.secret("HUB_EXT_DATABASE_URL")

    @default("configured_limits")
    def _default_configured_limits(self) -> dict[str, Any]:
        return from_environment()

    @validate("launch_timeout")
    def _check_launch_timeout(self, proposal: Any) -> int:
        if not 1 <= proposal["value"] <= LONGEST_START:
            raise TraitError(f"HubGateway.launch_timeout: from 1 to {LONGEST_START} seconds.")
        return int(proposal["value"])

    @validate("submissions_at_once")
    def _check_submissions_at_once(self, proposal: Any) -> int:
        if proposal["value"] < 1:
            raise TraitError("HubGateway.submissions_at_once: at least 1, or nothing would ever start.")
        return int(proposal["value"])

    @validate("allowed_env")
    def _check_allowed_env(self, proposal: Any) -> list[str]:
        names = list(proposal["value"])
        if reserved(names):
            raise TraitError(f"HubGateway.allowed_env: no client may set {', '.join(reserved(names))}.")
        return names
