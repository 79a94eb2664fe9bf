"""What each person may use: the fields, and how default, group and user values become one answer."""

from .fields import FIELDS, UNLIMITED, Field, Value
from .resolve import ResolvedLimit, resolve

__all__ = ["FIELDS", "UNLIMITED", "Field", "ResolvedLimit", "Value", "resolve"]
