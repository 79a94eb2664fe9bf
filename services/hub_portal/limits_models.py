"""What the gateway tells of limits, as plain data. Memory is MiB, times are UTC."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from hub_ext.cluster import Plain

#: A limit in JSON: a number, no limit at all, names of queues, or None for "inherit".
Value = int | Literal["unlimited"] | tuple[str, ...] | None


class Limit(Plain):
    """A limit in force and where it comes from: ``default``, ``group NAME`` or ``user``."""

    value: Value = None
    source: str = ""
    until: datetime | None = None
    #: From the Hub's configuration file, so these pages can only set something over it.
    configured: bool = False


class OwnValue(Plain):
    """A value that belongs to a user, group or the default itself."""

    value: Value = None
    until: datetime | None = None
    value_after: Value = None


class Used(Plain):
    """What a person's kernels hold now."""

    kernels: int = 0
    memory_mb: int = 0
    cores: int = 0


class KernelUse(Plain):
    """A kernel that counts against somebody's limits."""

    id: str
    kernelspec: str = ""
    display_name: str = ""
    state: str = ""
    memory_mb: int = 0
    cores: int = 0
    queue: str | None = None
    started_at: datetime | None = None


class PersonLimits(Plain):
    """A person in the administrators' table; what follows `revision` is told of one person alone."""

    name: str
    groups: tuple[str, ...] = ()
    limits: dict[str, Limit] = Field(default_factory=dict)
    own: tuple[str, ...] = ()
    used: Used = Used()
    over: tuple[str, ...] = ()
    last_kernel_at: datetime | None = None
    revision: int | None = None
    inherited: dict[str, Limit] = Field(default_factory=dict)
    own_values: dict[str, OwnValue] = Field(default_factory=dict)
    kernels: tuple[KernelUse, ...] = ()


class People(Plain):
    """A page of that table."""

    users: tuple[PersonLimits, ...] = ()
    total: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    page: int = 1
    per_page: int = 50


class Subject(Plain):
    """What limits can be set for besides a user: a group, or the default."""

    scope: str = "group"
    name: str = ""
    own_values: dict[str, OwnValue] = Field(default_factory=dict)
    inherited: dict[str, Limit] = Field(default_factory=dict)
    #: Told in the list of groups: what the Hub's configuration file sets for it.
    configured: dict[str, Value] = Field(default_factory=dict)
    revision: int | None = None
    members: int | None = None


class Preview(Plain):
    """Whom a change would affect."""

    affected: int = 0
    unchanged: int = 0
    names: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class ChangeLine(Plain):
    """One changed field."""

    scope: str
    name: str = ""
    field: str
    before: Value = None
    after: Value = None
    before_until: datetime | None = None
    after_until: datetime | None = None


class Batch(Plain):
    """What was changed at one time by one person."""

    batch: str
    at: datetime
    who: str = ""
    reason: str = ""
    undoes: str | None = None
    undone: bool = False
    lines: tuple[ChangeLine, ...] = ()
    left_off: int = 0


class History(Plain):
    """A page of changes, the newest first."""

    batches: tuple[Batch, ...] = ()
    total: int = 0
    page: int = 1
    per_page: int = 50


class FilePlan(Plain):
    """What a file of limits changes, and what should be thought about before."""

    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    #: Stands for these changes: sent back, nothing else is applied.
    plan: str = ""


class LimitRequest(Plain):
    """Somebody's wish for more."""

    id: int
    user: str = ""
    field: str
    wanted: Value = None
    current: Limit = Limit()
    reason: str = ""
    created_at: datetime | None = None
    state: str = "open"
    decided_by: str | None = None
    decided_at: datetime | None = None
    granted: Value = None
    until: datetime | None = None
    answer: str | None = None
    #: Of the own values of the one who asks.
    revision: int | None = None


class LimitRequests(Plain):
    """A page of requests; `open` counts all open ones."""

    requests: tuple[LimitRequest, ...] = ()
    total: int = 0
    open: int = 0


class Bound(Plain):
    """What keeps the largest kernel from being larger."""

    field: str = ""
    what: str = ""
    text: str = ""


class Largest(Plain):
    """The largest kernel that a person could start now."""

    driver_memory_mb: int = 0
    driver_cores: int = 0
    executors: int = 0
    executor_memory_mb: int = 0
    executor_cores: int = 0
    memory_mb: int = 0
    cores: int = 0
    bound_by: tuple[Bound, ...] = ()
    text: str = ""


class Refused(Plain):
    """A start that was refused."""

    kernelspec: str = ""
    display_name: str = ""
    at: datetime
    count: int = 1
    lines: tuple[str, ...] = ()


class MyLimits(Plain):
    """A person's own limits and what they hold of them."""

    user: str
    limits: dict[str, Limit] = Field(default_factory=dict)
    used: Used = Used()
    kernels: tuple[KernelUse, ...] = ()
    over: tuple[str, ...] = ()
    largest: Largest | None = None
    cluster_error: str | None = None
    most_restrictive: bool = False
    refused: tuple[Refused, ...] = ()


class EndedKernel(Plain):
    """A kernel that ended lately, and why."""

    id: str
    kernelspec: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
