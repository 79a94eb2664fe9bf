"""What clients get."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from .types import Answer, LimitValue

Scope = Literal["default", "group", "user"]


class Limit(Answer):
    """A limit in force. `source` is 'default', 'user' or 'group NAME'."""

    value: LimitValue
    source: str
    until: datetime | None = None
    configured: bool = Field(False, description="It stands in the Hub's configuration file.")


class OwnLimit(Answer):
    """A value of the subject's own."""

    value: LimitValue | None
    until: datetime | None = None
    value_after: LimitValue | None = None


class Use(Answer):
    """What somebody's live kernels hold."""

    kernels: int = 0
    memory_mb: int = 0
    cores: int = 0


class KernelUse(Answer):
    """What one live kernel holds."""

    id: str
    kernelspec: str
    display_name: str
    state: str
    memory_mb: int
    cores: int
    queue: str
    started_at: datetime
    #: Started in advance, and not used yet: it gives way to what its owner starts.
    gives_way: bool = False


class UserRow(Answer):
    """A user in the table."""

    name: str
    groups: list[str]
    limits: dict[str, Limit]
    own: list[str] = Field(description="Fields with a value of this user's own.")
    used: Use
    over: list[str] = Field(description="Fields of which more is in use than allowed.")
    last_kernel_at: datetime | None
    revision: int


class UserLimits(UserRow):
    """A user, with what would count without own values."""

    inherited: dict[str, Limit]
    own_values: dict[str, OwnLimit]


class UserDetail(UserLimits):
    """A user, with what is in use."""

    kernels: list[KernelUse]


class UserChanged(UserLimits):
    """A user after a change. `batch` is null when nothing was different."""

    batch: str | None
    warnings: list[str]


class Counts(Answer):
    """How many users there are, whatever is searched for."""

    all: int
    over: int
    own: int


class UsersAnswer(Answer):
    """A page of the table of users."""

    users: list[UserRow]
    total: int = Field(description="Users that match search and filter.")
    counts: Counts
    page: int
    per_page: int


class SubjectLimits(Answer):
    """The default or a group."""

    scope: Scope
    name: str
    own_values: dict[str, OwnLimit]
    inherited: dict[str, Limit]
    revision: int
    members: int


class SubjectChanged(SubjectLimits):
    """The default or a group after a change. `batch` is null when nothing was different."""

    batch: str | None
    warnings: list[str]


class GroupRow(Answer):
    """A group in the list."""

    name: str
    members: int
    own_values: dict[str, OwnLimit]
    configured: dict[str, LimitValue] = Field(description="What the Hub's configuration file sets for it.")
    revision: int


class GroupsAnswer(Answer):
    """All groups that have a member or a value."""

    groups: list[GroupRow]


class PreviewAnswer(Answer):
    """Whom a change would concern. Lists of names hold the first 20."""

    affected: int = Field(description="Users for whom another limit would count.")
    unchanged: int = Field(description="Members for whom nothing changes.")
    names: list[str]
    personal: list[str] = Field(description="Members whose own value stays.")
    over: list[str] = Field(description="Users who would be over a limit and are not now.")
    warnings: list[str]


class BatchAnswer(Answer):
    """Users who were changed together. `batch` is null when nothing was different."""

    batch: str | None
    changed: int
    warnings: list[str]


class HistoryLine(Answer):
    """One field's change."""

    scope: Scope
    name: str
    field: str
    before: LimitValue | None
    after: LimitValue | None
    before_until: datetime | None
    after_until: datetime | None


class HistoryBatch(Answer):
    """What was changed at once."""

    batch: str
    at: datetime
    who: str
    reason: str
    undoes: str
    undone: bool
    lines: list[HistoryLine]
    left_off: int = Field(description="Lines of this change beyond those shown.")


class HistoryAnswer(Answer):
    """A page of the history, newest first."""

    batches: list[HistoryBatch]
    total: int
    page: int


class UndoAnswer(Answer):
    """The change that took another one back."""

    batch: str


class ImportAnswer(Answer):
    """What a file changes; `batch` is null for a dry run and when nothing is different."""

    changes: list[str]
    batch: str | None
    warnings: list[str]
    plan: str = Field(description="Stands for these changes and what they change: see the query's `plan`.")


class CurrentLimit(Answer):
    """The limit in force of the one who asks."""

    value: LimitValue
    source: str


class RequestModel(Answer):
    """A request for more."""

    id: int
    user: str
    field: str
    wanted: LimitValue | None
    current: CurrentLimit
    reason: str
    created_at: datetime
    state: Literal["open", "granted", "declined", "withdrawn"]
    decided_by: str
    decided_at: datetime | None
    granted: LimitValue | None
    until: datetime | None
    answer: str
    revision: int = Field(description="Of the own values of the one who asks.")


class RequestsAnswer(Answer):
    """A page of requests, newest first; `open` counts all open ones that the caller may see."""

    requests: list[RequestModel]
    total: int
    open: int


class Bound(Answer):
    """Something that keeps the largest kernel from being larger: a limit's field, or what of the cluster."""

    text: str
    field: str = ""
    what: str = ""


class Largest(Answer):
    """The largest kernel that could be started now; a driver of 0 MiB: none could."""

    driver_memory_mb: int
    driver_cores: int
    executors: int
    executor_memory_mb: int
    executor_cores: int
    memory_mb: int
    cores: int
    queue: str | None
    bound_by: list[Bound]
    text: str


class Refused(Answer):
    """A start that was refused within the last day; `count` times for this cause, the last time `at`."""

    kernelspec: str
    display_name: str
    code: str
    at: datetime
    count: int
    lines: list[str] = Field(description="What was said the last time.")


class MyLimits(Answer):
    """What somebody may use, and uses."""

    user: str
    limits: dict[str, Limit]
    used: Use
    kernels: list[KernelUse]
    over: list[str]
    largest: Largest | None
    cluster_error: str = Field(description="Why there is no largest kernel, when the cluster does not tell.")
    most_restrictive: bool
    refused: list[Refused] = Field(description="The last refusals of the last day, the newest first.")


class Problem(Answer):
    """Every error."""

    code: str
    message: str
    reason: str
    text: str
    details: list[str]
    remedy: str
    numbers: dict[str, object]
