"""What the dashboard, the alert rules and the guide say, held against the metrics that the services have."""

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from docs import metrics
from hub_gateway.waiting.phases import PHASES

ROOT = Path(__file__).resolve().parents[2]
ALERTS = yaml.safe_load((ROOT / "docs/alerts.yml").read_text())
DASHBOARD = json.loads((ROOT / "docs/grafana/dashboard.json").read_text())
GUIDE = (ROOT / "docs/observability.md").read_text()

TOKEN = re.compile(
    r"""(?P<string>"[^"\\]*")|(?P<range>\[(?:\d+[smhd]|\$__rate_interval|\$__range)\])|(?P<number>\d+(?:\.\d+)?)
    |(?P<name>[a-z_][a-z0-9_]*)|(?P<operator>[=!]~|[=!<>]=|[-+*/<>=])|(?P<mark>[(){},])|(?P<space>\s+)""",
    re.VERBOSE | re.IGNORECASE,
)
FUNCTIONS = {"sum", "max", "min", "count", "rate", "increase", "histogram_quantile", "time", "vector"}
GROUPING = {"by", "on", "ignoring", "without"}
WORDS = {"and", "or", "unless"}
#: What Prometheus itself adds: labels, and a series for each process that it reads from.
TARGET_LABELS = {"instance", "job"}
OF_PROMETHEUS = ("up",)


def expressions():
    rules = [(rule["alert"], rule["expr"]) for group in ALERTS["groups"] for rule in group["rules"]]
    panels = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    return rules + panels


def tokens_of(expression):
    found, position = [], 0
    while position < len(expression):
        match = TOKEN.match(expression, position)
        assert match, f"not understood: {expression[position:]}"
        position = match.end()
        if match.lastgroup != "space":
            found.append((match.lastgroup, match.group()))
    return found


def read(expression):
    """Return the series that an expression uses, each with the labels matched for it, and the labels it groups by."""
    tokens, series, grouped, open_marks = tokens_of(expression), [], set(), []
    position = 0
    while position < len(tokens):
        kind, text = tokens[position]
        following = tokens[position + 1][1] if position + 1 < len(tokens) else ""
        if text in GROUPING:
            end = tokens.index(("mark", ")"), position)
            grouped |= {name for kind, name in tokens[position:end] if kind == "name"} - GROUPING
            position = end
        elif text in WORDS or (text in FUNCTIONS and (following == "(" or following in GROUPING)):
            pass
        elif kind == "name":
            matchers = {}
            if following == "{":
                end = tokens.index(("mark", "}"), position)
                inside = tokens[position + 2 : end]
                for label, operator, value in zip(inside[0::4], inside[1::4], inside[2::4], strict=True):
                    assert (label[0], operator[0], value[0]) == ("name", "operator", "string"), expression
                    matchers[label[1]] = (operator[1], value[1].strip('"'))
                position = end
            series.append((text, matchers))
        elif text in "({":
            open_marks.append(text)
        elif text in ")}":
            assert open_marks, f"closed too often: {expression}"
            open_marks.pop()
        position += 1
    assert not open_marks, f"not closed: {expression}"
    assert series, expression
    return series, grouped


@pytest.fixture(scope="module")
def known():
    return metrics.metrics()


@pytest.fixture(scope="module")
def by_series(known):
    return {name: metric for metric in known for name in metric.series}


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_every_expression_uses_metrics_and_labels_that_exist(by_series, where, expression):
    series, grouped = read(expression)
    labels = set()
    for name, matchers in series:
        assert name in by_series or name in (*metrics.STANDARD, *OF_PROMETHEUS), f"{where}: there is no {name}"
        own = set(by_series[name].labels) if name in by_series else TARGET_LABELS
        labels |= own | ({"le"} if name.endswith("_bucket") else set())
        assert set(matchers) <= own, f"{where}: {name} has no label {set(matchers) - own}"
    assert grouped <= labels | TARGET_LABELS, f"{where}: no label {grouped - labels}"


@pytest.mark.parametrize(
    "wrong",
    [
        "sum(no_such_metric)",
        'hub_gateway_reservations{nobody="x"}',
        "sum by (nobody) (hub_gateway_reservations)",
        "rate(hub_gateway_start_phase_seconds[5m])",
        "sum(hub_gateway_reservations",
        "hub_gateway_reservations ? 1",
    ],
)
def test_the_test_above_can_fail(by_series, wrong):
    with pytest.raises(AssertionError):
        test_every_expression_uses_metrics_and_labels_that_exist(by_series, "here", wrong)


def strings_in(*paths):
    return {
        node.value
        for path in paths
        for node in ast.walk(ast.parse((ROOT / "services" / path).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


#: Where a label's values come from.
VALUES = {
    "check": ("hub_gateway/checks.py", "hub_portal/app.py", "hadoop_edge/app.py", "jeg_plugin/watching.py"),
    "chore": ("hub_gateway/chores.py", "hub_gateway/app.py"),
    "outcome": ("hub_gateway/launches.py", "jeg_plugin/process_proxy.py", "jeg_plugin/reports.py"),
    "kind": ("hadoop_edge/gauges.py",),
}


def test_every_value_that_an_expression_names_exists():
    for where, expression in expressions():
        for name, matchers in read(expression)[0]:
            for label, (_, value) in matchers.items():
                if label in ("status", "job"):
                    continue
                exist = set(PHASES) if label == "phase" else strings_in(*VALUES[label])
                assert set(value.split("|")) <= exist, f"{where}: {name} has no {label} {value}"


def test_names_say_whose_they_are_and_what_they_count(known):
    for metric in known:
        assert metric.package, metric.name
        assert re.fullmatch(r"[a-z][a-z0-9_]+", metric.name)
        assert metric.help[0].isupper() or metric.help[0].isdigit()
        assert not metric.help.endswith(".")
        if metric.kind == "histogram":
            assert metric.name.endswith(("_seconds", "_bytes")), metric.name
        if metric.kind == "gauge":
            assert not metric.name.endswith("_total"), metric.name
    packages = {metric.name: metric.package for metric in known}
    assert set(packages.values()) | {"hub_portal"} == set(metrics.SERVICES)


#: How metrics are made, and what Prometheus adds to the name that is given there.
ENDINGS = {"Counter": "", "Gauge": "", "Histogram": "", "CounterMetricFamily": "_total", "GaugeMetricFamily": ""}


def test_each_metric_is_defined_in_the_package_that_its_name_says(known):
    defined = {}
    for folder in ("hub_ext", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            package = path.relative_to(ROOT / folder).parts[0] if folder == "services" else "hub_ext"
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ENDINGS:
                    name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
                    if isinstance(name, str):
                        defined[name + ENDINGS[node.func.id]] = package
    assert defined.keys() == {metric.name for metric in known}
    assert {metric.name: metric.package for metric in known} == defined


def test_the_guide_explains_every_alert_and_no_other():
    explained = re.findall(r"^\| `([A-Z]\w+)` \|", GUIDE, re.MULTILINE)
    assert explained == [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]]


def test_the_guide_names_only_metrics_that_exist(by_series, known):
    bare = {metric.name for metric in known} | set(by_series) | set(metrics.STANDARD)
    named = set(re.findall(r"\b(?:hub_ext|hub_gateway|hub_portal|hadoop_edge|jeg_plugin)_[a-z_]+\b", GUIDE))
    assert named <= bare


def test_the_guide_explains_every_check_of_health():
    checks = set()
    for path in VALUES["check"]:
        for node in ast.walk(ast.parse((ROOT / "services" / path).read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Check":
                checks.add(node.args[0].value)
    assert len(checks) >= 9
    assert checks == set(re.findall(r"^\| `([a-z-]+)` \|", GUIDE, re.MULTILINE))


def test_every_rule_says_how_bad_it_is_and_what_it_is_about():
    names = [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]]
    assert len(names) == len(set(names))
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert rule["annotations"]["summary"]
            assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))


def test_the_dashboard_is_whole():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}"
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_prometheus_takes_the_rules_and_they_fire_when_they_should():
    for command in (["check", "rules", "docs/alerts.yml"], ["test", "rules", "tests/fixtures/alerts_test.yml"]):
        done = subprocess.run(["promtool", *command], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
