"""What Enterprise Gateway tells Prometheus about kernels in YARN. Every metric of the plugin stands here."""

from prometheus_client import Counter, Gauge, Histogram

STARTS = Counter(
    "jeg_plugin_starts_total", "Kernel starts and restarts by outcome: connected, or the failure's code", ["outcome"]
)
STARTING = Gauge("jeg_plugin_starting", "Kernel starts and restarts that are under way")
KERNELS = Gauge("jeg_plugin_kernels", "Kernels that Enterprise Gateway has")
ENDED = Counter("jeg_plugin_applications_ended_total", "Applications of kernels that Enterprise Gateway let go of")
REPORTS = Counter(
    "jeg_plugin_reports_total", "What drivers sent to the response port: accepted, unknown or unreadable", ["outcome"]
)
RESOURCE_MANAGER_SECONDS = Histogram(
    "jeg_plugin_resource_manager_seconds",
    "Time of one call to the ResourceManager",
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
RESOURCE_MANAGER_FAILURES = Counter(
    "jeg_plugin_resource_manager_failures_total", "Calls that no ResourceManager answered"
)
SUBMISSIONS = Counter(
    "jeg_plugin_submissions_total",
    "Applications by the way they were submitted: submitter, or client where the submitter is away or switched off",
    ["by"],
)
SUBMITTER_UP = Gauge("jeg_plugin_submitter_up", "1 while the submitter answers, 0 while Spark's own client stands in")
SUBMITTER_RESTARTS = Counter("jeg_plugin_submitter_restarts_total", "Times the submitter had ended or hung")
HEALTH_CHECK = Gauge("jeg_plugin_health_check_ok", "1 when the health check passed last, else 0", ["check"])
