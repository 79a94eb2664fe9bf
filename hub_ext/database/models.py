"""The tables."""

from datetime import datetime, timezone
from typing import Any

from sqlalchemy import JSON, DateTime, Index, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: JSON whose null is SQL's, so that "no value" is one thing.
NullableJSON = JSON(none_as_null=True)


class UTCDateTime(TypeDecorator[datetime]):
    """A time with its zone, also on SQLite, which keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.astimezone(timezone.utc) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


class Base(DeclarativeBase):
    """Base of the tables."""


class Kernel(Base):
    """A kernel that someone asked for: who owns it, what it holds of its owner's limits, and whether it still runs.

    The row is the reservation: it is made before the kernel is started, counts until `state` is ``ended``, and is kept
    for a while so that its owner sees what became of it. `server` is the notebook server that started it ("" is its
    owner's default server), None when another client did. Memory is MiB and `cores` vcores, as YARN counts them.
    """

    __tablename__ = "kernels"
    __table_args__ = (Index("kernels_owner_state", "owner", "state"), Index("kernels_state", "state"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    owner: Mapped[str] = mapped_column(String(255))
    cluster_user: Mapped[str] = mapped_column(String(63))
    kernelspec: Mapped[str] = mapped_column(String(100))
    server: Mapped[str | None] = mapped_column(String(255))
    #: ``starting``, ``running``, ``restarting``, ``ending`` or ``ended``.
    state: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    end_reason: Mapped[str] = mapped_column(String(500), default="")
    memory_mb: Mapped[int] = mapped_column(default=0)
    cores: Mapped[int] = mapped_column(default=0)
    queue: Mapped[str] = mapped_column(String(255), default="")
    #: Until when the gateway that starts, restarts or ends it is known to be at work; None while it runs or has ended.
    leased_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: When it will be stopped, and why, once its owner has been given notice; None while nothing is planned.
    stop_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    stop_reason: Mapped[str] = mapped_column(String(500), default="")
    #: Until when one that was started before anybody asked for it waits to be used; None for every other one, and once
    #: it is used.
    warm_until: Mapped[datetime | None] = mapped_column(UTCDateTime)


class WarmStart(Base):
    """Whether somebody wants their last kernel to be started together with their notebook server."""

    __tablename__ = "warm_starts"

    owner: Mapped[str] = mapped_column(String(255), primary_key=True)
    wanted: Mapped[bool]


class LimitSubject(Base):
    """Whose limits these are: ``default``, a group or a user. `revision` grows with every change of its values."""

    __tablename__ = "limit_subjects"

    scope: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    revision: Mapped[int] = mapped_column(default=0)


class LimitValue(Base):
    """A value that a subject has of its own; a field without a row is inherited.

    A value with `until` counts until then; afterwards `value_after` does, where null means inherited again.
    """

    __tablename__ = "limit_values"

    scope: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    field: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[Any] = mapped_column(NullableJSON, nullable=True)
    until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    value_after: Mapped[Any] = mapped_column(NullableJSON, nullable=True)


class LimitChange(Base):
    """One line of the audit: who changed what, when and why. Lines of one action share `batch`."""

    __tablename__ = "limit_changes"
    __table_args__ = (
        Index("limit_changes_subject", "scope", "name"),
        Index("limit_changes_batch", "batch"),
        Index("limit_changes_undoes", "undoes"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    batch: Mapped[str] = mapped_column(String(32))
    who: Mapped[str] = mapped_column(String(255))
    scope: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(255))
    field: Mapped[str] = mapped_column(String(40))
    before: Mapped[Any] = mapped_column(NullableJSON, nullable=True)
    before_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    after: Mapped[Any] = mapped_column(NullableJSON, nullable=True)
    after_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reason: Mapped[str] = mapped_column(String(500), default="")
    #: The batch that this one took back, empty for any other.
    undoes: Mapped[str] = mapped_column(String(32), default="")


class LimitRequest(Base):
    """Somebody asks for more, and what an administrator answered. `state`: open, granted, declined or withdrawn."""

    __tablename__ = "limit_requests"
    __table_args__ = (Index("limit_requests_state", "state"), Index("limit_requests_user", "user_name"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    user_name: Mapped[str] = mapped_column(String(255))
    field: Mapped[str] = mapped_column(String(40))
    wanted: Mapped[Any] = mapped_column(NullableJSON, nullable=True)
    reason: Mapped[str] = mapped_column(String(1000), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    state: Mapped[str] = mapped_column(String(16))
    decided_by: Mapped[str] = mapped_column(String(255), default="")
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: What was granted, which may be less than was wanted, and until when.
    granted: Mapped[Any] = mapped_column(NullableJSON, nullable=True)
    until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    answer: Mapped[str] = mapped_column(String(1000), default="")


class RefusedStart(Base):
    """Starts of one kernelspec that were refused to somebody for one cause: how often, and what was said last."""

    __tablename__ = "refused_starts"
    __table_args__ = (Index("refused_starts_at", "at"),)

    owner: Mapped[str] = mapped_column(String(255), primary_key=True)
    kernelspec: Mapped[str] = mapped_column(String(100), primary_key=True)
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    display_name: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    count: Mapped[int]
    lines: Mapped[list[str]] = mapped_column(NullableJSON)


class Person(Base):
    """A Hub user as the gateway last learned of them, so that limits can be shown for people who are not there."""

    __tablename__ = "people"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    groups: Mapped[list[str]] = mapped_column(NullableJSON)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_kernel_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Setting(Base):
    """What one service tells the others, as JSON: the limits that the Hub's configuration gives."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[Any] = mapped_column(NullableJSON, nullable=True)
