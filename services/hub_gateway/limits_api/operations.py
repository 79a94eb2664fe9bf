"""What one operation of the API takes and gives: declared beside its code, checked at every call, and documented."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from hub_ext.errors import PublicError

from .types import BatchId, Name, RequestId

#: Who may call: everyone who is logged in, the user in the path, or holders of the scope for it.
Rights = Literal["any", "self", "limits-admin"]
YAML = "application/yaml"

#: Words of paths, with what they stand for.
PATH_WORDS: dict[str, Any] = {
    "name": Annotated[Name, Field(description="A user's or group's name, percent-encoded.")],
    "batch": Annotated[BatchId, Field(description="The id of a change in the history.")],
    "number": Annotated[RequestId, Field(description="The number of a request.")],
}
_ADAPTERS: dict[str, TypeAdapter[Any]] = {word: TypeAdapter(kind) for word, kind in PATH_WORDS.items()}
#: What every operation can answer beside its own errors.
COMMON_ERRORS = (
    "bad-request",
    "login-expired",
    "not-yours",
    "limits-invalid",
    "hub-unreachable",
    "database-unreachable",
)
MAXIMUM_PROBLEMS = 10
MAXIMUM_SENTENCE = 500
#: Problems that pydantic has other words for.
WORDS = {
    "extra_forbidden": "this name is not known here",
    "missing": "it is missing",
    "string_pattern_mismatch": "it has characters that are not taken here",
    "timezone_aware": "a time needs its zone, as in 2027-01-31T12:00:00Z",
    "datetime_type": "it should be a time as in 2027-01-31T12:00:00Z",
}

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Operation:
    """One method of one address.

    Parameters
    ----------
    summary : str
        What it does, a sentence.
    answer : type or None
        The answer's model; None for an answer without a body, `str` for YAML.
    query, body : type, optional
        The models of what is asked; a body of `str` is YAML.
    rights : str
        See `Rights`.
    status : int
        Of the answer when all is well.
    errors : tuple of str
        Codes of `hub_ext.errors.CASES` that it can answer, beside `COMMON_ERRORS`.
    """

    summary: str
    answer: Any
    rights: Rights = "limits-admin"
    query: type[BaseModel] | None = None
    body: Any = None
    status: int = 200
    errors: tuple[str, ...] = ()

    @property
    def all_errors(self) -> tuple[str, ...]:
        """Every code that it can answer."""
        found = [*COMMON_ERRORS, *self.errors]
        if self.rights != "any":
            found.append("not-a-limits-admin")
        if self.body is not None:
            found.append("request-too-large")
        return tuple(found)


def read_path(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the words of the path as values."""
    return {word: _checked(_ADAPTERS[word].validate_strings, text, where=word) for word, text in given.items()}


def read_query(model: type[Model], given: Mapping[str, list[bytes]]) -> Model:
    """Return what stands behind the question mark; of a name that is given twice the last one."""
    texts = {}
    for name, values in given.items():
        try:
            texts[name] = values[-1].decode()
        except UnicodeDecodeError as error:
            raise invalid([f"'{name}' is not UTF-8."], field=name) from error
    found: Model = _checked(model.model_validate, texts)
    return found


def read_json(model: type[Model], raw: bytes) -> Model:
    """Return the body; an empty one is an object without any names."""
    text = raw if raw.strip() else b"{}"
    try:
        if not isinstance(json.loads(text), dict):
            raise PublicError("bad-request", "The request body has to be a JSON object.")
    except (ValueError, RecursionError) as error:
        raise PublicError("bad-request", "The request body is not JSON.") from error
    found: Model = _checked(model.model_validate_json, text)
    return found


def read_text(raw: bytes) -> str:
    """Return a body that is text."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise PublicError("bad-request", "The request body is not UTF-8 text.") from error


def _checked(read: Callable[[Any], Any], given: Any, *, where: str = "") -> Any:
    try:
        return read(given)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        if problems[0]["type"] == "json_invalid":
            raise PublicError("bad-request", "The request body is not JSON.") from error
        told = [_told(problem, where) for problem in problems]
        raise invalid([sentence for sentence, _ in told], field=told[0][1]) from error


def _told(problem: ErrorDetails, where: str) -> tuple[str, str]:
    """Return a problem as a sentence, with the name of what it is about."""
    context = problem.get("ctx", {})
    name = ".".join(str(part)[:60] for part in (where, *problem["loc"]) if part != "")
    if problem["type"] == "problem":
        return str(context["sentence"])[:MAXIMUM_SENTENCE], str(context["field"])[:60] or name
    words = WORDS.get(problem["type"]) or problem["msg"].replace("Input should", "it should")
    return f"'{name}': {words}.", name


def invalid(sentences: list[str], *, field: str = "") -> PublicError:
    """Make the error for a request that says what is not understood."""
    shown = sentences[:MAXIMUM_PROBLEMS]
    return PublicError(
        "limits-invalid",
        shown[0],
        details=shown[1:],
        remedy="Nothing was changed.",
        numbers={"field": field} if field else None,
    )
