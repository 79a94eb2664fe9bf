"""What clients send: bodies and queries. A body's text never decides whose limits are changed: the path does."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_validator
from typing_extensions import Self

from hub_ext.limits.fields import LARGEST

from .types import (
    Asked,
    BatchIdOrEmpty,
    FieldName,
    FieldNameOrEmpty,
    Line,
    LongReason,
    Name,
    Page,
    PerPage,
    PlanDigest,
    Query,
    Reason,
    Revision,
    Until,
    Values,
    limit_value,
    problem,
)

MAXIMUM_BATCH = 500

#: A value whose field stands beside it, so that it is checked together with that.
LooseValue = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": LARGEST},
                {"const": "unlimited"},
                {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}, "maxItems": 100},
                {"type": "null"},
            ]
        }
    ),
]


class UsersQuery(Query):
    """Which part of the table of users."""

    search: Line = Field("", description="Part of a user's or a group's name; capitals do not matter.")
    sort: Literal["name", "kernels", "memory_mb", "cores", "used", "last_kernel"] = Field(
        "name",
        description="'kernels', 'memory_mb' and 'cores' are the limits; 'used' is the largest share of them in use.",
    )
    order: Literal["asc", "desc"] = "asc"
    filter: Literal["", "over", "own"] = Field(
        "", description="'over': more in use than the limit; 'own': with values of their own."
    )
    page: Page = 1
    per_page: PerPage = 50


class HistoryQuery(Query):
    """Which changes."""

    scope: Literal["", "default", "group", "user"] = ""
    name: Line = ""
    who: Line = ""
    field: FieldNameOrEmpty = ""
    batch: BatchIdOrEmpty = Field(
        "", description="One change alone, with all its lines; a list has the first 20 of each."
    )
    page: Page = 1
    per_page: PerPage = 50


class RequestsQuery(Query):
    """Which requests."""

    state: Literal["", "open", "granted", "declined", "withdrawn"] = ""
    page: Page = 1
    per_page: PerPage = 50


class ImportQuery(Query):
    """What is done with the file."""

    dry_run: bool = Field(True, description="Only tell what would change.")
    merge: bool = Field(False, description="Keep the values that the file does not name.")
    confirmed: bool = Field(False, description="The warnings have been seen.")
    plan: PlanDigest = Field(
        "", description="What a dry run told as `plan`: if the file would change something else by now, it is refused."
    )
    reason: Reason = Field("", description="Stands in the history.")


class Change(Asked):
    """A change of one subject's own values."""

    values: Values
    until: Until = None
    revision: Revision | None = Field(None, description="What the editor saw; another one by now refuses the change.")
    reason: Reason = ""
    confirmed: bool = Field(False, description="The warnings have been seen.")


class BatchChange(Asked):
    """The same change for several users: all of them or none."""

    users: list[Name] = Field(min_length=1, max_length=MAXIMUM_BATCH, json_schema_extra={"uniqueItems": True})
    values: Values
    until: Until = None
    reason: Reason = ""
    confirmed: bool = Field(False, description="The warnings have been seen.")
    revisions: dict[Name, Revision] = Field(default_factory=dict, max_length=MAXIMUM_BATCH)

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        if len(set(self.users)) < len(self.users):
            raise problem("A user is named twice.")
        return self


class Preview(Asked):
    """A change that is only looked at."""

    scope: Literal["default", "group", "user"]
    name: Line = Field("", description="Empty for the default.")
    values: Values

    @model_validator(mode="after")
    def _name_fits(self) -> Self:
        if bool(self.name) is (self.scope == "default"):
            raise problem("'name' is the group's or user's name, and empty for the default.")
        return self


class Undo(Asked):
    """Why a change is taken back."""

    reason: Reason = ""


class Wish(Asked):
    """Somebody asks for more."""

    field: FieldName
    wanted: LooseValue
    reason: LongReason = ""

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if limit_value(self.field, self.wanted) is None:
            raise problem("'wanted' is the value that is asked for, not null.", self.field)
        return self


class Grant(Asked):
    """What of a request is granted; null: all of it."""

    value: LooseValue = None
    until: Until = None
    answer: LongReason = ""
    revision: Revision | None = Field(None, description="What was seen; another one by now refuses the grant.")
    confirmed: bool = Field(False, description="The warnings have been seen.")


class Decline(Asked):
    """Why a request is declined."""

    answer: LongReason = ""
