import json

import pytest

from hub_ext.errors import DIALOG_COLUMNS, STATUS, PublicError, as_json, dialog_text, internal_error


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
