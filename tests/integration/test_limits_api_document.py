"""The API of limits does what its document says: requests made from the document, on the real chain."""

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hub_gateway.handlers.limits import api_document
from tests.support import bearer

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
#: Begins the names of users and groups in this test, so that nobody else's limits are changed.
OURS = "of the document's test "
TOKEN_SCOPES = ("access:services!service=gateway", "custom:limits:admin")

schema = schemathesis.openapi.from_dict(api_document())


@pytest.fixture(scope="module")
def api(platform):
    """The API's address and the headers of an administrator; all limits are put back at the end."""
    token, _ = platform.person("admin").token(*TOKEN_SCOPES)
    base, headers = f"{platform.gateway}/limits", bearer(token)
    before = requests.get(f"{base}/export", headers=headers, timeout=30)
    assert before.status_code == 200, before.text
    yield base, headers
    restored = requests.post(
        f"{base}/import",
        params={"dry_run": "false", "confirmed": "true"},
        data=before.text.encode(),
        headers=headers,
        timeout=30,
    )
    assert restored.status_code == 200, restored.text
    own = requests.get(f"{base}/my/requests", params={"state": "open"}, headers=headers, timeout=30).json()
    for one in own["requests"]:
        requests.delete(f"{base}/my/requests/{one['id']}", headers=headers, timeout=30)


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_documented(api, case):
    base, headers = api
    name = case.path_parameters.get("name")
    if isinstance(name, str):
        case.path_parameters["name"] = (OURS + name)[:255]
    case.call_and_validate(base_url=base, headers=headers, checks=CHECKS, timeout=30)


def test_the_document_that_is_served_is_this_one(api):
    base, headers = api
    assert requests.get(f"{base}/openapi.json", headers=headers, timeout=30).json() == api_document()
