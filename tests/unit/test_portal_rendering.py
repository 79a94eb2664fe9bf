"""Our pages inside the Hub's templates, those of each JupyterHub that is supported."""

from datetime import datetime, timezone
from pathlib import Path

import pytest

from hub_ext.cluster import ClusterState, Node, Queue
from hub_ext.errors import PublicError
from hub_ext.kernels import KernelDefinition, Size
from hub_ext.sizes import Rules
from hub_portal.models import RunningKernel, Server
from hub_portal.rendering import HUB_TEMPLATES, hub_context, make_environment, page_user
from hub_portal.views.cluster import cluster_view
from hub_portal.views.kernels import cards, details
from hub_portal.views.running import kernel_rows
from hub_portal.views.server import server_view
from hub_portal.views.warm_start import WarmStartBox

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
OLDER = Path(__file__).resolve().parents[2] / ".tools" / "hub-5.5" / "share" / "jupyterhub" / "templates"
NASTY = "<script>alert('x')</script>"


@pytest.fixture(
    params=[
        pytest.param(HUB_TEMPLATES, id="installed"),
        pytest.param(OLDER, id="5.5", marks=pytest.mark.skipif(not OLDER.exists(), reason="made by `make test`")),
    ]
)
def environment(request):
    return make_environment(hub_templates=request.param)


def context(user="alice", scopes=frozenset(), **more):
    return {
        **hub_context("/jh/", "/jh/hub/", page_user(user) if user else None, scopes),
        "portal_url": "/jh/services/portal/",
        "portal_static": lambda path: f"/jh/services/portal/static/{path}?v=1",
        "live_scripts": True,
        "xsrf_token": "the-token",
        "flash": "",
        "server": server_view(Server(known=True), "alice", "/jh/", "/jh/hub/"),
        **more,
    }


def definition(**more):
    return KernelDefinition(
        **{"name": "spark", "display_name": f"Spark {NASTY}", "size": Size(driver_memory_mb=640), **more}
    )


def view(**more):
    return cluster_view(
        ClusterState(
            as_of=NOW,
            memory_total_mb=12288,
            nodes_active=1,
            nodes_total=2,
            nodes=(Node(id="n1:8041", host="n1", state="UNHEALTHY", health_report=NASTY),),
            queues=(Queue(name="notebooks", path="root.notebooks", state="RUNNING", used_percent=95.0),),
            **more,
        ),
        (),
        NOW,
    )


KERNELS = kernel_rows(
    [RunningKernel(id="k1", kernelspec="spark", owner="alice", state="busy", started_at=NOW)],
    None,
    {"spark": NASTY},
    NOW,
)
PAGES = {
    "portal/cluster.html": {"view": view(stale=False), "rows": KERNELS, "launcher": (("spark", NASTY),)},
    "portal/nodes.html": {"view": view(stale=False)},
    "portal/kernels.html": {"cards": cards([definition()], "spark", Rules(256)), "query": NASTY},
    "portal/kernel.html": {
        "details": details(definition(description=NASTY, spark_conf={"a": NASTY}), True, Rules(256))
    },
    "portal/my_kernels.html": {
        "rows": KERNELS,
        "everyone": False,
        "kernels_admin": True,
        "warm_start": WarmStartBox(on=True, choice=True, kernel=NASTY, lasts="10 min"),
    },
    "portal/stop.html": {"title": NASTY, "owner": "bob", "kernel_id": "k1"},
    "portal/error.html": {"error": PublicError("bad-request", NASTY, details=[NASTY], remedy=NASTY)},
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_stand_in_the_hubs_frame(environment, name):
    html = environment.get_template(name).render(context(**PAGES[name]))
    assert NASTY not in html
    assert 'id="dark-theme-toggle"' in html
    assert 'href="/jh/hub/static/css/style.min.css"' in html
    assert 'href="/jh/services/portal/static/portal.css?v=1"' in html
    assert 'href="/jh/hub/logout"' in html
    for path in ("/jh/hub/home", "/jh/services/portal/", "/jh/services/portal/kernels", "/jh/hub/token"):
        assert f'href="{path}"' in html
    assert html.count('aria-current="page"') == (0 if name == "portal/error.html" else 1)
    assert "/jh/hub/admin" not in html


def test_administrators_get_the_hubs_own_page_in_the_bar(environment):
    html = environment.get_template("portal/nodes.html").render(
        context(scopes=frozenset({"admin-ui"}), view=view(stale=False))
    )
    assert 'href="/jh/hub/admin"' in html


def test_old_numbers_are_marked_in_words(environment):
    values = {"view": view(stale=True, error="It refused the connection."), "rows": ()}
    html = environment.get_template("portal/cluster_live.html").render(context(**values))
    assert "Old numbers" in html
    assert "It refused the connection." in html
    assert "of 12.0 GB" in html


def test_an_error_before_it_is_known_who_looks(environment):
    error = PublicError("hub-unreachable", "JupyterHub does not answer.", remedy="Try again.")
    html = environment.get_template("portal/error.html").render(context(user=None, error=error))
    assert "JupyterHub does not answer." in html
    assert "My kernels" not in html


def test_the_sites_own_templates_come_first(tmp_path):
    (tmp_path / "page.html").write_text(
        '{% extends "templates/page.html" %}{% block footer %}The site\'s own foot{% endblock footer %}'
    )
    environment = make_environment([str(tmp_path)])
    html = environment.get_template("portal/nodes.html").render(context(view=view(stale=False)))
    assert "The site's own foot" in html


def test_a_name_can_not_break_out_of_the_hubs_script(environment):
    html = environment.get_template("portal/nodes.html").render(context(user='a"</script><b>', view=view(stale=False)))
    assert "</script><b>" not in html
    assert '"; alert' not in html


@pytest.mark.parametrize("name", ["home.html", "token.html"])
def test_the_hubs_own_pages_mark_where_one_is(environment, name):
    source, _, _ = environment.loader.get_source(environment, name)
    assert f'{{% extends "templates/{name}" %}}' in source
    html = environment.get_template(name).render(
        context(default_server={"active": False}, url="/x", scopes=frozenset(), api_tokens=[], oauth_clients=[])
    )
    assert html.count('aria-current="page"') == 1
