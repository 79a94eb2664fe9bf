import json
import re
from pathlib import Path

import pytest

from hub_ext.errors import CASES, DIALOG_COLUMNS, STATUS, PublicError, as_json, dialog_text, internal_error
from hub_gateway.failures import CAUSES

ROOT = Path(__file__).parents[2]


def test_the_dialog_text_fits_labs_dialog():
    error = PublicError("x", "A sentence " * 30, details=["b" * 200], remedy="Ask somebody.")
    text = dialog_text(error)
    assert text.startswith("\n\n")
    assert text.endswith("\n")
    assert all(len(line) <= DIALOG_COLUMNS for line in text.splitlines())
    assert "Ask somebody." in text


def test_json_carries_code_numbers_and_every_sentence():
    error = PublicError("not-yours", "No.", details=["Because."], remedy="Ask.", numbers={"free": 3})
    body = json.loads(json.dumps(as_json(error)))
    assert (body["code"], body["text"], body["details"], body["remedy"]) == ("not-yours", "No.", ["Because."], "Ask.")
    assert body["numbers"] == {"free": 3}
    assert error.status == 403


@pytest.mark.parametrize("code", sorted(STATUS))
def test_every_code_is_a_plain_word_with_an_error_status(code):
    assert code == code.lower()
    assert " " not in code
    assert 400 <= STATUS[code] < 600


def test_an_unexpected_error_shows_only_its_reference():
    assert "ab12" in str(internal_error("ab12"))
    assert internal_error("ab12").status == 500


def test_every_case_says_what_it_means():
    assert all(case.meaning.endswith(".") and case.meaning[0].isupper() for case in CASES.values())
    assert {code: case.status for code, case in CASES.items()} == STATUS


def test_what_enterprise_gateway_refuses_with_is_in_the_table():
    assert {code: status for code, (status, _) in CAUSES.items()} == {code: STATUS[code] for code in CAUSES}


def test_every_code_in_the_program_is_in_the_table():
    written = set()
    for folder in ("hub_ext", "services/hub_gateway", "services/hub_portal", "services/hadoop_edge"):
        for path in (ROOT / folder).rglob("*.py"):
            written |= set(re.findall(r'PublicError\(\s*"([^"]+)"', path.read_text()))
    assert {"not-yours", "over-total-limit", "node-too-small"} <= written
    assert written <= set(CASES)
