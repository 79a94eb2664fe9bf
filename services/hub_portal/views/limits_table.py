"""The administrators' table of people, and the groups' and default values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

from hub_ext.limits.fields import FIELDS, UNLIMITED

from ..limits_models import Limit, OwnValue, People, PersonLimits, Subject
from .limits import Badge, badge, day_words, label, used_words, value_words
from .words import NOTHING, count, listed, percent, since

#: The columns with a limit.
COLUMNS = ("kernels", "memory_mb", "cores")
SORTS = ("name", "kernels", "memory_mb", "cores", "used", "last_kernel")
FILTERS = ("over", "own")
PER_PAGE = (50, 100, 200)


@dataclass(frozen=True)
class Cell:
    """A value with its source."""

    text: str
    badge: Badge


@dataclass(frozen=True)
class Use:
    """What somebody holds of a limit: a share in percent, words for it, and how full that is."""

    share: float
    level: str
    words: str
    over: str


@dataclass(frozen=True)
class PersonRow:
    """A line of the table."""

    name: str
    key: str
    groups: str
    cells: tuple[Cell, ...]
    use: Use
    last_kernel: str
    own: str


@dataclass(frozen=True)
class Head:
    """A column's head: where it leads, and whether the table is sorted by it."""

    key: str
    label: str
    numeric: bool
    href: str
    aria_sort: str


@dataclass(frozen=True)
class Query:
    """What the table shows; read from an address, so nothing in it is trusted."""

    search: str = ""
    sort: str = "name"
    order: str = "asc"
    only: str = ""
    page: int = 1
    per_page: int = 50

    def as_api(self) -> dict[str, object]:
        """Return the API's parameters."""
        return {
            "search": self.search,
            "sort": self.sort,
            "order": self.order,
            "filter": self.only,
            "page": self.page,
            "per_page": self.per_page,
        }

    def link(self, **changes: object) -> str:
        """Return an address's query that differs in `changes`; every change but that of the page leads to page 1."""
        values = {
            "q": self.search,
            "sort": self.sort,
            "order": self.order,
            "filter": self.only,
            "page": self.page if "page" in changes else 1,
            "per_page": self.per_page,
            **changes,
        }
        plain = {"q": "", "sort": "name", "order": "asc", "filter": "", "page": 1, "per_page": 50}
        query = urlencode({key: value for key, value in values.items() if value != plain[key]})
        return f"?{query}" if query else ""


def read_query(arguments: Mapping[str, str]) -> Query:
    """Read an address; what makes no sense becomes the usual."""
    page, per_page = arguments.get("page", ""), arguments.get("per_page", "")
    return Query(
        search=arguments.get("q", "").strip()[:100],
        sort=arguments.get("sort", "") if arguments.get("sort") in SORTS else "name",
        order="desc" if arguments.get("order") == "desc" else "asc",
        only=arguments.get("filter", "") if arguments.get("filter") in FILTERS else "",
        page=int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 7 and int(page) else 1,
        per_page=int(per_page) if per_page in map(str, PER_PAGE) else 50,
    )


def heads(query: Query) -> tuple[Head, ...]:
    """Make the heads; the one that the table is sorted by turns the order round."""
    titles = ("User", "Kernels", "Memory, total", "Cores, total", "In use now", "Last kernel")
    return tuple(_head(query, key, title) for key, title in zip(SORTS, titles, strict=True))


def _head(query: Query, key: str, title: str) -> Head:
    sorted_by = query.sort == key
    turned = "desc" if (sorted_by and query.order == "asc") or (not sorted_by and key != "name") else "asc"
    words = {"asc": "ascending", "desc": "descending"}[query.order] if sorted_by else "none"
    return Head(key, title, key in (*COLUMNS, "last_kernel"), query.link(sort=key, order=turned), words)


def person_rows(people: People, now: datetime) -> tuple[PersonRow, ...]:
    """Make the table."""
    return tuple(person_row(one, now) for one in people.users)


def person_row(person: PersonLimits, now: datetime) -> PersonRow:
    """Make a line."""
    return PersonRow(
        name=person.name,
        key=quote(person.name, safe=""),
        groups=", ".join(person.groups) or NOTHING,
        cells=tuple(cell(name, person.limits.get(name), now) for name in COLUMNS),
        use=use_of(person),
        last_kernel=last_kernel(person, now),
        own=own_words(person.own),
    )


def last_kernel(person: PersonLimits, now: datetime) -> str:
    """Say when somebody last started a kernel."""
    return f"{since(person.last_kernel_at, now)} ago" if person.last_kernel_at else "never"


def own_words(own: Iterable[str]) -> str:
    """Name the own values that have no column."""
    hidden = [label(name).lower() for name in own if name not in COLUMNS]
    return f"own: {listed(hidden)}" if hidden else ""


def cell(name: str, limit: Limit | None, now: datetime) -> Cell:
    """Make a value with its source; what is not told is unlimited by default."""
    known = limit or Limit(value=UNLIMITED, source="default")
    return Cell(value_words(name, known.value), badge(known, now))


def use_of(person: PersonLimits) -> Use:
    """Say what somebody holds now."""
    used = person.used
    limit = person.limits.get("memory_mb")
    most = limit.value if limit and isinstance(limit.value, int) else None
    share = percent(used.memory_mb, most) if most else (100.0 if most == 0 and used.memory_mb else 0.0)
    words = (
        f"{used_words('memory_mb', used.memory_mb)} in {count(used.kernels, 'kernel')}, {count(used.cores, 'core')}"
        if used.kernels or used.memory_mb
        else "nothing"
    )
    over = listed([label(name).split(",")[0].lower() for name in person.over])
    return Use(100.0 if over and most else share, "full" if over else "free", words, over)


@dataclass(frozen=True)
class SubjectRow:
    """A group, or the default, with the values that it sets."""

    scope: str
    name: str
    key: str
    members: str
    values: tuple[tuple[str, str, str], ...]


def subject_row(subject: Subject, now: datetime) -> SubjectRow:
    """Make a line: label, value and a note for each value that is set here or in the configuration."""
    own = {name: _own(name, one, now) for name, one in subject.own_values.items() if one.value is not None}
    source = "default" if subject.scope == "default" else f"group {subject.name}"
    in_file = subject.configured or {
        name: limit.value for name, limit in subject.inherited.items() if limit.configured and limit.source == source
    }
    given = {name: (value_words(name, value), "configuration") for name, value in in_file.items()}
    found = {**given, **own}
    return SubjectRow(
        scope=subject.scope,
        name=subject.name,
        key=quote(subject.name, safe=""),
        members=NOTHING if subject.members is None else count(subject.members, "person", "people"),
        values=tuple((label(name), *found[name]) for name in FIELDS if name in found),
    )


def _own(name: str, one: OwnValue, now: datetime) -> tuple[str, str]:
    return value_words(name, one.value), f"until {day_words(one.until, now)}" if one.until else ""


def last_page(people: People) -> int:
    """Return the number of the last page with a line; 1 of an empty table."""
    return max(1, -(-people.total // people.per_page))


def shown_words(people: People) -> str:
    """Say which lines of how many are shown: ``1-50 of 1,204``."""
    if not people.users:
        return "nobody" if not people.total else f"none of {people.total:,}"
    first = (people.page - 1) * people.per_page + 1
    return f"{first:,}\N{EN DASH}{first + len(people.users) - 1:,} of {people.total:,}"
