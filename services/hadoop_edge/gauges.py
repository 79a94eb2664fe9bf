"""The cluster in numbers for Prometheus, as of the last poll that worked."""

from prometheus_client import Gauge

from hub_ext.cluster import ClusterState

MIB = 1024 * 1024
MEMORY = Gauge("hadoop_edge_cluster_memory_bytes", "Memory of the cluster: used, total", ["kind"])
VCORES = Gauge("hadoop_edge_cluster_vcores", "Vcores of the cluster: used, total", ["kind"])
NODES = Gauge("hadoop_edge_cluster_nodes", "Nodes of the cluster: active, total", ["kind"])
APPLICATIONS = Gauge("hadoop_edge_cluster_applications", "Unfinished applications: running, waiting", ["kind"])


def show(state: ClusterState) -> None:
    """Take the numbers over."""
    for gauge, numbers in (
        (MEMORY, {"used": state.memory_used_mb * MIB, "total": state.memory_total_mb * MIB}),
        (VCORES, {"used": state.vcores_used, "total": state.vcores_total}),
        (NODES, {"active": state.nodes_active, "total": state.nodes_total}),
        (APPLICATIONS, {"running": state.applications_running, "waiting": state.applications_waiting}),
    ):
        for kind, number in numbers.items():
            gauge.labels(kind=kind).set(number)
