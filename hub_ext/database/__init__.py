"""The services' SQL database: engine, tables, migrations."""

from .engine import Database, upgrade
from .models import Base, Kernel

__all__ = ["Base", "Database", "Kernel", "upgrade"]
