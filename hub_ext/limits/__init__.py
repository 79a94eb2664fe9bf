"""What each person may use: the fields, and how default, group and user values become one answer."""

from .fields import FIELDS, UNLIMITED, Field, Value
from .model import DEFAULT, AllLimits, Configured, Edit, OwnValue, Scope, Subject, SubjectLimits
from .resolve import ResolvedLimit, resolve

__all__ = [
    "DEFAULT",
    "FIELDS",
    "UNLIMITED",
    "AllLimits",
    "Configured",
    "Edit",
    "Field",
    "OwnValue",
    "ResolvedLimit",
    "Scope",
    "Subject",
    "SubjectLimits",
    "Value",
    "resolve",
]
