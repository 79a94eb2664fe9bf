import asyncio
import json

import pytest

from hub_ext.cli import main
from hub_ext.database import Database
from hub_ext.database.owner import claim

NO_ADDRESS = ("HUB_EXT_DATABASE_URL", "HUB_EXT_DATABASE_URL_FILE")


def in_this_process(url, tmp_path, monkeypatch, capsys):
    """Give a function that runs a command of limits, on a database whose address is where a service would find it."""
    file = tmp_path / "address"
    file.write_text(url + "\n")
    monkeypatch.delenv("HUB_EXT_DATABASE_URL", raising=False)
    monkeypatch.setenv("HUB_EXT_DATABASE_URL_FILE", str(file))

    def run(*arguments):
        code = main(["limits", *arguments])
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


@pytest.fixture
def limits(database_url, tmp_path, monkeypatch, capsys):
    """Run a command of limits: ``(exit code, output, errors)``."""
    return in_this_process(database_url, tmp_path, monkeypatch, capsys)


@pytest.fixture
def limits_on_sqlite(sqlite_url, tmp_path, monkeypatch, capsys):
    """The same for what has nothing to do with the kind of database."""
    return in_this_process(sqlite_url, tmp_path, monkeypatch, capsys)


def test_a_database_is_given_to_another_cluster(database_url, capsys):
    async def claimed(cluster):
        database = Database(database_url)
        try:
            await claim(database, cluster)
        finally:
            await database.close()

    asyncio.run(claimed("north"))
    asyncio.run(claimed("north"))
    with pytest.raises(RuntimeError, match=r"cluster 'north', and this gateway to 'south'.*hub-ext db forget-cluster"):
        asyncio.run(claimed("south"))
    for said in ("The database belonged to the cluster 'north'.\n", "The database belongs to no cluster.\n"):
        assert main(["db", "forget-cluster", "--url", database_url]) == 0
        assert capsys.readouterr().out == said
    asyncio.run(claimed("south"))


def test_a_database_without_tables_is_refused_and_can_be_brought_up_to_date(empty_database_url, capsys):
    assert main(["limits", "show", "--url", empty_database_url]) == 1
    assert "run 'hub-ext db upgrade'" in capsys.readouterr().err
    assert main(["db", "upgrade", "--url", empty_database_url]) == 0
    assert main(["db", "upgrade", "--url", empty_database_url]) == 0
    assert main(["limits", "show", "--url", empty_database_url]) == 0


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("postgresql://tests:hunter2@127.0.0.1:9/x", 1, "does not answer"),
        ("sqlite:////nowhere/at/all/x.sqlite", 2, "no folder /nowhere/at/all"),
        ("hunter2", 2, "address is not one"),
        ("oracles://tests:hunter2@127.0.0.1/x", 2, "address is not one"),
    ],
)
@pytest.mark.parametrize("command", [["limits", "show"], ["db", "upgrade"]])
def test_a_database_that_does_not_answer_is_a_sentence_without_the_password(url, code, words, command, capsys):
    assert main([*command, "--url", url]) == code
    errors = capsys.readouterr().err
    assert words in errors
    assert len(errors.splitlines()) == 1
    assert "hunter2" not in errors


def test_values_are_shown_with_where_they_come_from(limits):
    limits("set", "default", "kernels=2")
    limits("set", "group:analytics", "kernels=5", "queues=etl, adhoc")
    limits("set", "user:alice", "cores=unlimited")
    _, text, _ = limits("show", "alice", "--groups", "analytics,other")
    assert "user alice, in groups: analytics, other" in text
    found = json.loads(limits("show", "user:alice", "--groups", "analytics", "--json")[1])
    assert found["limits"]["kernels"]["source"] == "group analytics"
    assert found["limits"]["queues"]["value"] == ["adhoc", "etl"]
    assert found["own"] == {"cores": {"value": "unlimited", "until": None, "value_after": None}}
    assert found["revision"] == 1
    assert json.loads(limits("show", "--group", "analytics", "--json")[1])["limits"]["kernels"]["value"] == 5
    assert json.loads(limits("show", "--default", "--json")[1])["limits"]["kernels"]["value"] == 2
    assert limits("show")[1].split()[:8] == ["WHOSE", "LIMIT", "VALUE", "default", "kernels", "2", "group", "analytics"]


def test_a_change_is_in_the_history_with_who_made_it_and_can_be_taken_back(limits):
    limits("set", "user:alice", "kernels=3", "--until", "2050-01-31", "--reason", "thesis")
    (batch,) = json.loads(limits("history", "user:alice", "--json")[1])["batches"]
    assert batch["who"].endswith("(command line)")
    assert batch["reason"] == "thesis"
    assert batch["lines"][0]["after_until"] == "2050-02-01T00:00:00+00:00"
    assert limits("undo", batch["batch"], "--reason", "done")[0] == 0
    code, text, _ = limits("history", "--per-page", "1")
    assert "kernels 3 (until 2050-01-31) → inherit" in text
    assert f"takes back {batch['batch']}" in text
    assert "1 older: --page 2" in text
    assert "taken back since" in limits("history", "--page", "2", "--per-page", "1")[1]
    code, _, errors = limits("undo", batch["batch"])
    assert code == 1
    assert "was changed again since" in errors


def test_removed_values_are_inherited_again(limits):
    limits("set", "user:alice", "kernels=3")
    assert "kernels 3 → inherit" in limits("unset", "user:alice", "kernels")[1]
    assert limits("unset", "user:alice", "kernels")[1] == "Nothing changed: it is so already.\n"


def test_a_value_that_ends_stays_as_it_is_in_one_step(limits_on_sqlite):
    limits = limits_on_sqlite
    limits("set", "user:alice", "kernels=3")
    limits("set", "user:alice", "kernels=9", "cores=5", "--until", "2050-01-31")
    assert (
        limits("keep", "user:alice", "kernels")[1].splitlines()[-1].strip()
        == "user alice: kernels 9 (until 2050-01-31) → 9"
    )
    own = json.loads(limits("show", "alice", "--json")[1])["own"]
    assert own["kernels"] == {"value": 9, "until": None, "value_after": None}
    assert own["cores"]["until"] == "2050-02-01T00:00:00+00:00"
    assert "cores 5 (until 2050-01-31) → 5" in limits("keep", "user:alice")[1]
    assert limits("keep", "user:alice")[0] == 2


def test_a_file_brings_limits_from_one_database_into_another(limits, tmp_path):
    limits("set", "user:alice", "kernels=3", "memory_mb=unlimited")
    limits("set", "user:alice", "kernels=9", "--until", "2050-01-31")
    limits("set", "group:a", "queues=none")
    file = tmp_path / "limits.yaml"
    assert limits("export", str(file)) == (0, "", "")
    limits("unset", "user:alice", "kernels", "memory_mb")
    limits("set", "user:bob", "kernels=1")
    expected = [
        "user alice: kernels inherit → 9 (until 2050-01-31, then 3)",
        "user alice: memory_mb inherit → unlimited",
        "user bob: kernels 1 → inherit",
    ]
    before = limits("history")[1]
    assert limits("import", str(file), "--dry-run")[1].splitlines() == expected
    assert limits("import", str(file), "--dry-run", "--merge")[1].splitlines() == expected[:2]
    assert limits("history")[1] == before
    assert limits("import", str(file))[0] == 0
    assert limits("export")[1] == file.read_text()
    assert limits("import", str(file))[1] == "Nothing to change.\n"


def test_a_file_with_a_mistake_changes_nothing_and_names_the_line(limits, tmp_path):
    file = tmp_path / "limits.yaml"
    file.write_text("users:\n  alice:\n    kernels: 3\n    kernles: 4\n")
    code, _, errors = limits("import", str(file))
    assert code == 1
    assert "Line 4: there is no limit named 'kernles'" in errors
    assert limits("history")[1] == "No changes.\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["set", "alice", "kernels=1"], "write user:NAME, group:NAME or default"),
        (["set", "user:", "kernels=1"], "write user:NAME, group:NAME or default"),
        (["set", "user:alice", "kernels"], "is no LIMIT=VALUE"),
        (["set", "user:alice", "kernles=1"], "There are: driver_memory_mb"),
        (["set", "user:alice", "kernels=many"], "takes a whole number of kernels"),
        (["set", "user:alice", "memory_mb=64X"], "takes a whole number of MiB"),
        (["set", "user:alice", "kernels=1", "--until", "tomorrow"], "is not a time"),
        (["unset", "user:alice", "kernles"], "There are: driver_memory_mb"),
        (["keep", "user:alice"], "user alice has no value of any limit that ends"),
        (["keep", "user:alice", "kernels"], "user alice has no value of kernels that ends"),
        (["show", "alice", "--default"], "once"),
        (["import", "/nowhere"], "can't be read"),
        (["export", "/nowhere/at/all"], "can't be written"),
    ],
)
def test_a_command_that_makes_no_sense_is_told_why(limits_on_sqlite, arguments, words):
    code, output, errors = limits_on_sqlite(*arguments)
    assert (code, output) == (2, "")
    assert words in errors


def test_a_change_that_can_not_be_is_refused(limits_on_sqlite):
    code, _, errors = limits_on_sqlite("set", "user:alice", "kernels=1", "--until", "2001-01-01")
    assert code == 1
    assert "later than now" in errors


def test_odd_limits_are_set_with_a_note(limits_on_sqlite):
    code, _, errors = limits_on_sqlite("set", "user:alice", "driver_memory_mb=64G", "memory_mb=32G")
    assert code == 0
    assert "Driver memory (64 GB, user) is above memory, total (32 GB, user)" in errors


def test_requests_are_listed(limits):
    assert limits("requests") == (0, "No requests.\n", "")
    assert json.loads(limits("requests", "--json")[1]) == {"requests": [], "total": 0}


def test_every_command_explains_itself(capsys):
    for command in ("show", "set", "unset", "history", "undo", "export", "import", "requests"):
        with pytest.raises(SystemExit) as ended:
            main(["limits", command, "--help"])
        assert ended.value.code == 0
        assert "--url" in capsys.readouterr().out
    assert main(["limits"]) == 2
    assert main([]) == 2
