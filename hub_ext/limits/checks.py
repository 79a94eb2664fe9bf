"""What a change of limits must be like before anything is written. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ..errors import PublicError
from .fields import checked
from .model import SCOPES, Edit, Subject

NAME_LENGTH = 255
REASON_LENGTH = 500
#: An end later than this is a slip of the pen.
LATEST = timedelta(days=365 * 50)


def is_storable(text: str) -> bool:
    """Say whether every database takes `text`: PostgreSQL has no NUL, and neither has lone surrogates."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def is_name(text: str) -> bool:
    """Say whether `text` can name a user or a group."""
    return 0 < len(text) <= NAME_LENGTH and is_storable(text) and text.strip() == text and text.isprintable()


def check_edits(edits: Iterable[Edit], now: datetime) -> None:
    """Refuse edits that make no sense whatever is stored.

    Raises
    ------
    PublicError
        ``limits-invalid``, naming the field.
    """
    for edit in edits:
        _check_subject(edit.subject)
        for name, value in (*edit.values.items(), *edit.afterwards.items()):
            try:
                checked(name, value)
            except ValueError as error:
                raise invalid(str(error), field=name) from None
        if edit.until is not None:
            _check_until(edit.until, now)


def check_text(name: str, text: str, length: int = REASON_LENGTH) -> None:
    """Refuse a text that can't be kept as it is.

    Raises
    ------
    PublicError
        ``limits-invalid``
    """
    if len(text) > length:
        raise invalid(f"The {name} has {len(text)} letters; at most {length} are kept.", field=name)
    if not is_storable(text):
        raise invalid(f"The {name} has a letter that can't be stored.", field=name)


def invalid(sentence: str, field: str = "") -> PublicError:
    """Return the error for a wish that can't be met."""
    return PublicError("limits-invalid", sentence, numbers={"field": field} if field else None)


def _check_subject(subject: Subject) -> None:
    if subject.scope not in SCOPES:
        raise invalid(f"There are limits of {', '.join(SCOPES)}, not of '{subject.scope}'.", field="scope")
    if subject.scope == "default":
        if subject.name:
            raise invalid("The default has no name.", field="name")
    elif not is_name(subject.name):
        raise invalid(f"That can't be the name of a {subject.scope}: {subject.name[:40]!a}.", field="name")


def _check_until(until: datetime, now: datetime) -> None:
    if until.tzinfo is None:
        raise invalid("The end needs a time zone.", field="until")
    if not now < until < now + LATEST:
        raise invalid(f"The end must be later than now and within {LATEST.days // 365} years.", field="until")
