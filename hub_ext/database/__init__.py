"""The services' SQL database: engine, tables, migrations."""

from .engine import Database, upgrade
from .models import (
    Base,
    Kernel,
    LimitChange,
    LimitRequest,
    LimitSubject,
    LimitValue,
    Person,
    RefusedStart,
    Setting,
    WarmStart,
)

__all__ = [
    "Base",
    "Database",
    "Kernel",
    "LimitChange",
    "LimitRequest",
    "LimitSubject",
    "LimitValue",
    "Person",
    "RefusedStart",
    "Setting",
    "WarmStart",
    "upgrade",
]
