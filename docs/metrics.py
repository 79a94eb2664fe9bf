"""Every metric that there is, out of the code: for the reference, and for the tests of dashboard and alerts."""

import importlib
from dataclasses import dataclass

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric as PrometheusFamily

#: A metric's name begins with the package that has it.
SERVICES = {
    "hub_ext": "every service",
    "hub_gateway": "the gateway",
    "hub_portal": "the portal",
    "hadoop_edge": "the edge service",
    "jeg_plugin": "Enterprise Gateway",
}
#: Importing these defines all of them.
MODULES = ("hub_gateway.app", "hub_portal.app", "hadoop_edge.app", "jeg_plugin.metrics")
#: What the library itself tells of the process and of Python, on Linux.
STANDARD = (
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
    "python_gc_collections_total",
    "python_gc_objects_collected_total",
    "python_gc_objects_uncollectable_total",
    "python_info",
)
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


@dataclass(frozen=True)
class Metric:
    """A metric as Prometheus shows it; `name` with the ending of its kind."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str

    @property
    def package(self) -> str:
        """The package that has it."""
        return next((one for one in SERVICES if self.name.startswith(f"{one}_")), "")

    @property
    def series(self) -> tuple[str, ...]:
        """The names that an expression can use."""
        return tuple(f"{self.name}{suffix}" for suffix in SUFFIXES.get(self.kind, ("",)))


def metrics() -> list[Metric]:
    """Return all of our own, by name."""
    for module in MODULES:
        importlib.import_module(module)
    found = []
    for collector in REGISTRY._collector_to_names:
        # A metric with labels has no samples before its first value, so what is wrapped is asked itself.
        if isinstance(collector, MetricWrapperBase):
            found.append(_metric(collector))
        else:
            found += [one for one in map(_of_family, collector.collect()) if one.package]
    return sorted(found, key=lambda one: one.name)


def _of_family(family: PrometheusFamily) -> Metric:
    name = family.name + ("_total" if family.type == "counter" else "")
    labels = sorted({label for sample in family.samples for label in sample.labels})
    return Metric(name, family.type, tuple(labels), family.documentation)


def _metric(collector: MetricWrapperBase) -> Metric:
    name = collector._name + ("_total" if collector._type == "counter" else "")
    return Metric(name, collector._type, tuple(collector._labelnames), collector._documentation)


def page() -> str:
    """Return the body of docs/reference/metrics.md."""
    parts = [
        "# Metrics\n\nWhat `/metrics` of each service tells Prometheus. [Observability](../observability.md) says who "
        "may read it and what to watch.\n"
    ]
    known = metrics()
    for package, title in SERVICES.items():
        rows = [one for one in known if one.package == package]
        if rows:
            parts.append(f"## {title[0].upper()}{title[1:]}\n\n| metric | kind | labels | what |\n|---|---|---|---|")
            parts += [f"| `{one.name}` | {one.kind} | {', '.join(one.labels) or '-'} | {one.help} |" for one in rows]
            parts.append("")
    standard = ", ".join(f"`{name}`" for name in STANDARD)
    parts.append(f"## Of the process\n\nIn every service, on Linux: {standard}.")
    return "\n".join(parts) + "\n"
