"""What the commands of ``hub-ext limits`` do."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .cli_database import OK, UsageError, who
from .limits.fields import FIELDS, Value
from .limits.model import DEFAULT, Edit, Subject
from .limits.resolve import as_json
from .limits.text import parse_time, parse_value

if TYPE_CHECKING:
    from .database import Database
    from .limits.store import LimitStore


async def show(store: "LimitStore", database: "Database", options: argparse.Namespace) -> int:
    """Show limits in force."""
    from .cli_output import as_text, limits_table, own_json, own_table
    from .limits.people import People

    subject = _shown_subject(options)
    everything = await store.everything()
    if subject is None:
        subjects = [everything.default, *everything.groups.values(), *everything.users.values()]
        rows = [(str(own.subject), own.values) for own in sorted(subjects, key=lambda own: own.subject) if own.values]
        print(as_text({whose: own_json(own) for whose, own in rows}) if options.json else own_table(rows))
        return OK
    groups: tuple[str, ...] = (subject.name,) if subject.scope == "group" else ()
    if subject.scope == "user":
        known = options.groups is None
        groups = await People(database).groups_of(subject.name) if known else _names(options.groups)
    limits = everything.resolved(subject.name if subject.scope == "user" else "", groups)
    own = everything.of(subject)
    if options.json:
        whose = {"scope": subject.scope, "name": subject.name, "groups": list(groups), "revision": own.revision}
        print(as_text({**whose, "own": own_json(own.values), "limits": as_json(limits)}))
        return OK
    if subject.scope == "user":
        print(f"{subject}, in groups: {', '.join(groups) or 'none'}\n")
    print(limits_table(limits))
    return OK


async def set_(store: "LimitStore", _database: "Database", options: argparse.Namespace) -> int:
    """Set values of one subject."""
    values = dict(_assignment(text) for text in options.values)
    try:
        until = parse_time(options.until) if options.until else None
    except ValueError as error:
        raise UsageError(str(error)) from None
    return await _change(store, Edit(_subject(options.subject), values, until), options.reason)


async def keep(store: "LimitStore", _database: "Database", options: argparse.Namespace) -> int:
    """Take the end from values of one subject."""
    subject, wanted = _subject(options.subject), [_field(name) for name in options.fields]
    own = (await store.everything()).of(subject)
    ending = {name: one.value for name, one in own.values.items() if one.until is not None}
    missing = [name for name in wanted if name not in ending]
    if missing or not ending:
        raise UsageError(f"{subject} has no value of {' or '.join(missing) or 'any limit'} that ends.")
    values = {name: value for name, value in ending.items() if not wanted or name in wanted}
    return await _change(store, Edit(subject, values, revision=own.revision), options.reason)


async def unset(store: "LimitStore", _database: "Database", options: argparse.Namespace) -> int:
    """Remove values of one subject."""
    values: dict[str, Value] = {_field(name): None for name in options.fields}
    return await _change(store, Edit(_subject(options.subject), values), options.reason)


async def _change(store: "LimitStore", edit: Edit, reason: str) -> int:
    batch = await store.apply([edit], who=who(), reason=reason)
    await _tell(store, batch)
    return OK


async def history(store: "LimitStore", _database: "Database", options: argparse.Namespace) -> int:
    """Show what was changed."""
    from .cli_output import as_text, batch_json, batch_text

    subject = _subject(options.subject) if options.subject else None
    filters = {"scope": subject.scope, "name": subject.name} if subject else {}
    page = await store.history(
        **filters, field=options.field, who=options.who, page=options.page, per_page=options.per_page
    )
    if options.json:
        batches = [batch_json(batch) for batch in page.batches]
        print(as_text({"batches": batches, "total": page.total, "page": page.page, "per_page": page.per_page}))
        return OK
    print("\n".join(batch_text(batch) for batch in page.batches) or "No changes.")
    left = page.total - (page.page - 1) * page.per_page - len(page.batches)
    if left > 0:
        print(f"\n{left} older: --page {page.page + 1}")
    return OK


async def undo(store: "LimitStore", _database: "Database", options: argparse.Namespace) -> int:
    """Take a change back."""
    await _tell(store, await store.undo(options.batch, who=who(), reason=options.reason))
    return OK


async def export(store: "LimitStore", _database: "Database", options: argparse.Namespace) -> int:
    """Write all values as YAML."""
    from .limits.yaml_io import export_yaml

    text = export_yaml(await store.everything())
    if options.file == "-":
        print(text, end="")
    else:
        _write(options.file, text)
    return OK


async def import_(store: "LimitStore", _database: "Database", options: argparse.Namespace) -> int:
    """Make the values those of a file."""
    from .limits.yaml_io import describe, import_plan, parse_yaml

    wanted = parse_yaml(_read(options.file), merge=options.merge)
    plan = import_plan(await store.everything(), wanted, merge=options.merge)
    print("\n".join(describe(plan)) or "Nothing to change.")
    if options.dry_run or not plan:
        return OK
    batch = await store.apply(plan, who=who(), reason=options.reason or f"import of {Path(options.file).name}"[:500])
    print(f"Change {batch}.")
    return OK


async def requests(store: "LimitStore", database: "Database", options: argparse.Namespace) -> int:
    """Show who asks for more."""
    from .cli_output import as_text, request_json, requests_table
    from .limits.requests import RequestStore

    found, total = await RequestStore(database, store).list(
        state="" if options.state == "all" else options.state, per_page=200
    )
    if options.json:
        print(as_text({"requests": [request_json(one) for one in found], "total": total}))
    else:
        print(requests_table(found) if found else "No requests.")
    return OK


async def _tell(store: "LimitStore", batch: str) -> None:
    """Say what was changed, and what is odd about it."""
    from .cli_output import batch_text
    from .limits.sense import findings

    if not batch:
        print("Nothing changed: it is so already.")
        return
    made = (await store.history(batch=batch)).batches[0]
    print(batch_text(made))
    everything = await store.everything()
    for subject in {line.subject for line in made.lines}:
        groups = [subject.name] if subject.scope == "group" else []
        for found in findings(everything.resolved(subject.name if subject.scope == "user" else "", groups)):
            print(f"Note: {found.text}", file=sys.stderr)


def _shown_subject(options: argparse.Namespace) -> Subject | None:
    given = [text for text in (options.subject, options.group, "default" if options.default else "") if text]
    if len(given) > 1:
        raise UsageError("say whose limits once: SUBJECT, --group or --default.")
    if not given:
        return None
    if options.group:
        return Subject("group", options.group)
    return _subject(given[0] if ":" in given[0] or given[0] == "default" else f"user:{given[0]}")


def _subject(text: str) -> Subject:
    if text == "default":
        return DEFAULT
    scope, _, name = text.partition(":")
    if scope == "user" and name:
        return Subject("user", name)
    if scope == "group" and name:
        return Subject("group", name)
    raise UsageError(f"'{text}' does not say whose limits: write user:NAME, group:NAME or default.")


def _assignment(text: str) -> tuple[str, Value]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"'{text}' is no LIMIT=VALUE.")
    try:
        return _field(name), parse_value(name, value)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _field(name: str) -> str:
    if name not in FIELDS:
        raise UsageError(f"there is no limit named '{name}'. There are: {', '.join(FIELDS)}.")
    return name


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not text in UTF-8.") from None


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} can't be written: {error.strerror}.") from None
