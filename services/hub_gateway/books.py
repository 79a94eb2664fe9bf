"""What the gateway's parts that work on kernels are given together."""

from dataclasses import dataclass

from hub_ext.limits.admission import Admission
from hub_ext.limits.people import People

from .leases import Leases
from .limits_view import LimitsView
from .people_notes import PeopleNotes
from .registry import Registry
from .warm_rows import WarmRows


@dataclass(frozen=True)
class Books:
    """What is written down of kernels and people, and what they may use."""

    registry: Registry
    admission: Admission
    leases: Leases
    people: People
    notes: PeopleNotes
    limits: LimitsView
    #: None where no kernel is started in advance.
    warm: WarmRows | None = None
