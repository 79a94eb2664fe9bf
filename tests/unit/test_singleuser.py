import logging

import pytest

from hub_ext.singleuser import SecretFilter, secrets_of


def logged(filter_, message, *args):
    record = logging.LogRecord("ServerApp", logging.INFO, "", 0, message, args, None)
    assert filter_.filter(record)
    return record.getMessage()


ENVIRONMENT = {
    "JUPYTERHUB_API_TOKEN": "a0839ae1165f413fa6ef38aee16880b6",
    "TOKEN": "short",
    "HOME": "/home/alice/folder",
}


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        (
            "started, args: {'JUPYTERHUB_API_TOKEN': 'a0839ae1165f413fa6ef38aee16880b6'}",
            (),
            "started, args: {'JUPYTERHUB_API_TOKEN': '[secret]'}",
        ),
        ("token %s of %s", ("a0839ae1165f413fa6ef38aee16880b6", "alice"), "token [secret] of alice"),
        ("nothing %s", ("/home/alice/folder short",), "nothing /home/alice/folder short"),
        ("100 % sure", (), "100 % sure"),
    ],
)
def test_a_secret_never_reaches_the_log(message, args, expected):
    assert logged(SecretFilter(ENVIRONMENT), message, *args) == expected


def test_only_long_values_of_secret_names_count():
    assert secrets_of(ENVIRONMENT) == {"a0839ae1165f413fa6ef38aee16880b6"}
