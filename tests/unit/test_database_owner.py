import socket

import pytest

from hub_ext.database.owner import claim, forget, place

NORTH, SOUTH = "https://edge.north:8899", "https://edge.south:8899"


async def test_two_clusters_without_a_name_on_one_database_are_told(database):
    assert await claim(database, "default", NORTH) == ""
    assert await claim(database, "default", NORTH) == ""
    warning = await claim(database, "default", SOUTH)
    assert f"edge service at {NORTH}, this one at {SOUTH}" in warning
    assert "HubGateway.cluster_name of its own" in warning
    assert await claim(database, "default", SOUTH) == ""
    assert f"at {SOUTH}, this one at {NORTH}" in await claim(database, "default", NORTH)


async def test_whose_cluster_has_a_name_may_find_it_anywhere(database):
    assert await claim(database, "north", NORTH) == ""
    assert await claim(database, "north", SOUTH) == ""
    with pytest.raises(RuntimeError, match="belongs to the cluster 'north'"):
        await claim(database, "default", NORTH)


async def test_a_database_that_belongs_to_nobody_has_no_address_either(database):
    await claim(database, "default", NORTH)
    assert await forget(database) == "default"
    assert await claim(database, "default", SOUTH) == ""


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (NORTH, NORTH),
        ("http://127.0.0.1:8899", f"http://{socket.gethostname()}:8899"),
        ("https://localhost", f"https://{socket.gethostname()}"),
    ],
)
def test_an_address_on_this_machine_is_another_one_on_another_machine(url, found):
    assert place(url) == found
