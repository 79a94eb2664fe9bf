"""The words and values of the API, each with its bounds and its JSON schema."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from hub_ext.limits import FIELDS, UNLIMITED
from hub_ext.limits.fields import LARGEST, NAME_LENGTH, NAMES_AT_MOST, checked

MAXIMUM_PAGE = 1_000_000

# No control characters; a reason may have more than one line.
_LINE = r"^[^\x00-\x1f\x7f]*$"
_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"

#: A user's or group's name as the Hub has it: any characters but control ones.
Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH, pattern=_LINE)]
Line = Annotated[str, StringConstraints(max_length=NAME_LENGTH, pattern=_LINE)]
Reason = Annotated[str, StringConstraints(max_length=500, pattern=_TEXT)]
LongReason = Annotated[str, StringConstraints(max_length=1000, pattern=_TEXT)]
BatchId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
BatchIdOrEmpty = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,32}$")]
PlanDigest = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
RequestId = Annotated[int, Field(ge=1, le=LARGEST)]
Revision = Annotated[int, Field(ge=0, le=LARGEST)]
Page = Annotated[int, Field(ge=1, le=MAXIMUM_PAGE)]
PerPage = Annotated[int, Field(ge=1, le=200)]

#: A limit as JSON has it; null (where it is allowed) stands for "inherit".
LimitValue = Annotated[
    int | Literal["unlimited"] | list[str],
    Field(description="A number, 'unlimited', or the names that are allowed."),
]


def problem(sentence: str, field: str = "") -> PydanticCustomError:
    """Make an error whose sentence is shown as it is; `field` is the limit that it is about."""
    return PydanticCustomError("problem", "{sentence}", {"sentence": sentence, "field": field})


def _field_name(name: str) -> str:
    if name not in FIELDS:
        raise problem(f"There is no limit named '{name[:60]}'. There are: {', '.join(FIELDS)}.", name)
    return name


def limit_value(name: str, value: Any) -> Any:
    """Return one value as the store takes it, or raise a `problem` that says what the field takes."""
    try:
        return checked(name, value)
    except ValueError as error:
        raise problem(str(error).replace("None", "null"), name) from error


def _values(given: dict[str, Any]) -> dict[str, Any]:
    return {_field_name(name): limit_value(name, value) for name, value in given.items()}


def _value_schema(name: str) -> dict[str, Any]:
    field = FIELDS[name]
    some: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": LARGEST}
    if field.is_list:
        names = {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH, "pattern": r"^[^\x00-\x1f\x7f]*$"}
        some = {"type": "array", "items": names, "maxItems": NAMES_AT_MOST}
    return {
        "anyOf": [some, {"const": UNLIMITED}, {"type": "null"}],
        "description": f"{field.help} In {field.unit}. Null: inherited.",
    }


VALUES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: _value_schema(name) for name in FIELDS},
    "additionalProperties": False,
}
#: Field to value; null removes the own value, so that the field is inherited.
Values = Annotated[
    dict[str, Any],
    Field(min_length=1),
    AfterValidator(_values),
    WithJsonSchema({**VALUES_SCHEMA, "minProperties": 1}),
]
FieldName = Annotated[str, AfterValidator(_field_name), WithJsonSchema({"type": "string", "enum": list(FIELDS)})]
#: The same, or empty for "any".
FieldNameOrEmpty = Annotated[
    str,
    AfterValidator(lambda name: name and _field_name(name)),
    WithJsonSchema({"type": "string", "enum": ["", *FIELDS]}),
]
#: When a value ends; a time with its zone.
Until = (
    Annotated[
        AwareDatetime,
        Field(description="When it ends, with its time zone; null: never."),
    ]
    | None
)


class Asked(BaseModel):
    """What a client sends: nothing is converted, nothing unknown is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """What stands behind the question mark; everything is text there."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True)


def _in_file(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow a value with an end beside the plain one."""
    until = {"type": "string", "description": "When it ends, with its time zone."}
    granted = {
        "type": "object",
        "properties": {"value": schema, "until": until, "afterwards": schema},
        "required": ["value", "until"],
        "additionalProperties": False,
    }
    return {"anyOf": [schema, granted]}


_OF_ONE = {**VALUES_SCHEMA, "properties": {name: _in_file(_value_schema(name)) for name in FIELDS}}
_OF_MANY = {"type": "object", "additionalProperties": _OF_ONE}
#: What the YAML file of `hub_ext.limits.yaml_io` has in it.
FILE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"default": _OF_ONE, "groups": _OF_MANY, "users": _OF_MANY},
    "additionalProperties": False,
    "description": "All own values: of the default, and of groups and users by name.",
}
