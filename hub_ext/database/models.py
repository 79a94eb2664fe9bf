"""The tables."""

from datetime import datetime, timezone
from typing import Any

from sqlalchemy import DateTime, Index, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


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
    """A kernel that someone started: who owns it, and whether it still runs.

    `server` is the notebook server that started it ("" is its owner's default server), None when another client did.
    """

    __tablename__ = "kernels"
    __table_args__ = (Index("kernels_owner_state", "owner", "state"), Index("kernels_state", "state"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    owner: Mapped[str] = mapped_column(String(255))
    cluster_user: Mapped[str] = mapped_column(String(63))
    kernelspec: Mapped[str] = mapped_column(String(100))
    server: Mapped[str | None] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    end_reason: Mapped[str] = mapped_column(String(500), default="")
