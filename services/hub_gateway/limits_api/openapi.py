"""The API's OpenAPI document, built from the operations themselves. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

import hub_ext
from hub_ext.errors import CASES

from .answers import Problem
from .operations import PATH_WORDS, YAML, Operation
from .types import FILE_SCHEMA

SCHEMAS = "#/components/schemas/"
FILE = "LimitsFile"
RIGHTS = {
    "any": "For everyone who is logged in.",
    "self": "For the user themselves; for everyone's with the scope custom:limits:admin or the Hub's admin-ui.",
    "limits-admin": "Needs the scope custom:limits:admin or the Hub's admin-ui.",
}


@dataclass(frozen=True)
class Route:
    """An operation with its method and its address below the API's base; ``{word}`` stands for a word of the path."""

    method: str
    address: str
    operation: Operation

    @property
    def words(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.address)


def document(routes: Iterable[Route], base: str) -> dict[str, Any]:
    """Return the document of an API at `base`."""
    known = list(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in known:
        paths.setdefault(f"/{route.address}", {})[route.method] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Limits",
            "version": hub_ext.__version__,
            "description": "What each person may use on the cluster: the API behind the pages. A limit is a number, "
            "'unlimited' or a list of names; null stands for 'inherited'.",
        },
        "servers": [{"url": base.rstrip("/")}],
        "security": [{"hub_token": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(known),
            "securitySchemes": {
                "hub_token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "'token ' and a token of the Hub with access to the gateway.",
                }
            },
        },
    }


def _schemas(routes: list[Route]) -> dict[str, Any]:
    asked = {_model(route.operation.body) for route in routes} - {None}
    given = {_model(route.operation.answer) for route in routes} - {None}
    models: list[Any] = [(model, "validation") for model in sorted(asked, key=str)]
    models += [(model, "serialization") for model in sorted(given | {Problem}, key=str)]
    _, made = models_json_schema(models, ref_template=SCHEMAS + "{model}")
    return {**made["$defs"], FILE: FILE_SCHEMA}


def _model(kind: Any) -> type[BaseModel] | None:
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _operation(route: Route) -> dict[str, Any]:
    operation = route.operation
    found: dict[str, Any] = {
        "operationId": f"{route.method}_{re.sub(r'[^a-z]+', '_', route.address)}".strip("_"),
        "summary": operation.summary,
        "description": RIGHTS[operation.rights],
        "parameters": [_path_parameter(word) for word in route.words] + _query_parameters(operation.query),
        "responses": {str(operation.status): _success(operation), **_errors(operation)},
    }
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": _content(operation.body)}
    return found


def _path_parameter(word: str) -> dict[str, Any]:
    schema = TypeAdapter(PATH_WORDS[word]).json_schema()
    return {
        "name": word,
        "in": "path",
        "required": True,
        "description": schema.pop("description", ""),
        "schema": schema,
    }


def _query_parameters(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    properties = query.model_json_schema()["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema.pop("description", ""),
            "schema": schema,
        }
        for name, schema in properties.items()
    ]


def _success(operation: Operation) -> dict[str, Any]:
    if operation.answer is None:
        return {"description": "It is done."}
    return {"description": "All is well.", "content": _content(operation.answer)}


def _content(kind: Any) -> dict[str, Any]:
    if kind is str:
        return {YAML: {"schema": {"$ref": f"{SCHEMAS}{FILE}"}}}
    model = _model(kind)
    schema = {"$ref": SCHEMAS + model.__name__} if model else {"type": "object"}
    return {"application/json": {"schema": schema}}


def _errors(operation: Operation) -> dict[str, Any]:
    """Return the documented errors by status; those with the same one stand together."""
    meanings: dict[str, list[str]] = {}
    for code in operation.all_errors:
        case = CASES[code]
        meanings.setdefault(str(case.status), []).append(f"`{code}`: {case.meaning}")
    content = {"application/json": {"schema": {"$ref": f"{SCHEMAS}Problem"}}}
    return {
        status: {"description": " ".join(sentences), "content": content}
        for status, sentences in sorted(meanings.items())
    }
