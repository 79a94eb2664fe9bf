"""From the ResourceManager's JSON to our plain data, tolerant of how versions write it.

Hadoop up to 3.4 (Jersey 1 with Jettison) and 3.5 (Jersey 2 with MOXy) write the same objects differently: an
empty list as null, ``{}`` or missing; a list of one as the object itself; numbers and booleans as strings.
Everything here takes all of these: a missing field becomes its neutral value, never an exception.

Field names: https://hadoop.apache.org/docs/stable/hadoop-yarn/hadoop-yarn-site/ResourceManagerRest.html
"""

import math
from datetime import datetime, timezone
from typing import Any

from hub_ext.cluster import Application, Node
from hub_ext.names import application_order

#: Diagnostics hold up to 64 k characters; the cause stands at the beginning, the tail of stderr at the end.
DIAGNOSTICS_HEAD = 4000
DIAGNOSTICS_TAIL = 4000


def mapping(value: Any) -> dict[str, Any]:
    """Return `value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(container: Any, key: str) -> list[dict[str, Any]]:
    """Return the objects in a list that may be missing, null, ``{}``, a bare object or a real list.

    Parameters
    ----------
    container : Any
        What holds the list, for example the value of ``apps``.
    key : str
        Name of the list inside, for example ``app``.
    """
    if isinstance(container, list):
        found: Any = container
    else:
        found = mapping(container).get(key)
    if isinstance(found, dict):
        return [found]
    if not isinstance(found, list):
        return []
    return [one for one in found if isinstance(one, dict)]


def decimal(value: Any) -> float:
    """Return a finite number; 0 for anything else."""
    if isinstance(value, bool):
        return 0.0
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def whole(value: Any) -> int:
    """Return an integer that is not negative: YARN writes -1 for "no longer known"."""
    return max(0, int(decimal(value)))


def text(value: Any) -> str:
    """Return a string; empty for null and for objects."""
    if value is None or isinstance(value, (dict, list)):
        return ""
    return str(value)


def truth(value: Any) -> bool:
    """Return a boolean that may be written as a string."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def moment(value: Any) -> datetime | None:
    """Return milliseconds since 1970 as UTC time; None for 0, which YARN writes for "not yet"."""
    milliseconds = whole(value)
    return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc) if milliseconds else None


def memory_of(resource: Any) -> int:
    """Return the MiB of a resource object ``{"memory": …, "vCores": …}``."""
    return whole(mapping(resource).get("memory"))


def vcores_of(resource: Any) -> int:
    """Return the vcores of a resource object."""
    return whole(mapping(resource).get("vCores"))


def totals(answer: Any) -> dict[str, int]:
    """Read ``/ws/v1/cluster/metrics`` into the fields of `hub_ext.cluster.ClusterState`.

    Totals across all partitions are taken where the version tells them: the plain fields leave labelled
    nodes out. Nodes that were taken out of service on purpose do not count as missing.
    """
    metrics = mapping(mapping(answer).get("clusterMetrics"))
    used = metrics.get("totalUsedResourcesAcrossPartition")
    total = metrics.get("totalClusterResourcesAcrossPartition")
    across = truth(metrics.get("crossPartitionMetricsAvailable")) and isinstance(total, dict)
    gone = whole(metrics.get("decommissionedNodes")) + whole(metrics.get("shutdownNodes"))
    return {
        "memory_used_mb": memory_of(used) if across else whole(metrics.get("allocatedMB")),
        "memory_total_mb": memory_of(total) if across else whole(metrics.get("totalMB")),
        "vcores_used": vcores_of(used) if across else whole(metrics.get("allocatedVirtualCores")),
        "vcores_total": vcores_of(total) if across else whole(metrics.get("totalVirtualCores")),
        "nodes_active": whole(metrics.get("activeNodes")),
        "nodes_total": max(0, whole(metrics.get("totalNodes")) - gone),
        "applications_running": whole(metrics.get("appsRunning")),
        "applications_waiting": whole(metrics.get("appsPending")),
    }


def node(raw: dict[str, Any]) -> Node:
    """Read one entry of ``/ws/v1/cluster/nodes``."""
    memory_used, vcores_used = whole(raw.get("usedMemoryMB")), whole(raw.get("usedVirtualCores"))
    return Node(
        id=text(raw.get("id")),
        host=text(raw.get("nodeHostName")),
        state=text(raw.get("state")),
        memory_used_mb=memory_used,
        memory_total_mb=memory_used + whole(raw.get("availMemoryMB")),
        vcores_used=vcores_used,
        vcores_total=vcores_used + whole(raw.get("availableVirtualCores")),
        containers=whole(raw.get("numContainers")),
        health_report=text(raw.get("healthReport")).strip(),
    )


def nodes(answer: Any) -> tuple[Node, ...]:
    """Read ``/ws/v1/cluster/nodes``, ordered by host and port."""
    found = (node(raw) for raw in items(mapping(answer).get("nodes"), "node"))
    return tuple(sorted(found, key=lambda one: (one.host, one.id)))


def application(raw: dict[str, Any]) -> Application:
    """Read one entry of ``/ws/v1/cluster/apps``."""
    return Application(
        id=text(raw.get("id")),
        user=text(raw.get("user")),
        name=text(raw.get("name")),
        queue=text(raw.get("queue")),
        state=text(raw.get("state")),
        final_status=text(raw.get("finalStatus")),
        tags=tuple(tag for tag in text(raw.get("applicationTags")).split(",") if tag),
        started_at=moment(raw.get("startedTime")),
        finished_at=moment(raw.get("finishedTime")),
        memory_mb=whole(raw.get("allocatedMB")),
        vcores=whole(raw.get("allocatedVCores")),
        containers=whole(raw.get("runningContainers")),
        diagnostics=_shortened(text(raw.get("diagnostics")).strip()),
        host=text(raw.get("amHostHttpAddress")).rpartition(":")[0],
    )


def applications(answer: Any) -> tuple[Application, ...]:
    """Read ``/ws/v1/cluster/apps``, the newest first."""
    found = (application(raw) for raw in items(mapping(answer).get("apps"), "app"))
    return tuple(sorted(found, key=lambda one: application_order(one.id), reverse=True))


def setting(answer: Any) -> str:
    """Read one property out of the ResourceManager's ``/conf?name=…``; empty when it is not there."""
    found = mapping(answer)
    one = mapping(found.get("property"))
    if not one:
        one = next(iter(items(found, "properties")), {})
    return text(one.get("value"))


def scheduler_setting(answer: Any, name: str) -> str:
    """Read one property out of ``/ws/v1/cluster/scheduler-conf``; empty when it is not there."""
    found = (one for one in items(mapping(answer), "property") if one.get("name") == name)
    return text(next(found, {}).get("value"))


def error_text(body: Any) -> str:
    """Read the sentence out of an error answer: RemoteException, Jetty's own, or nothing."""
    found = mapping(body)
    return text(mapping(found.get("RemoteException")).get("message")) or text(found.get("message"))


def _shortened(diagnostics: str) -> str:
    if len(diagnostics) <= DIAGNOSTICS_HEAD + DIAGNOSTICS_TAIL:
        return diagnostics
    return f"{diagnostics[:DIAGNOSTICS_HEAD]}\n…\n{diagnostics[-DIAGNOSTICS_TAIL:]}"
