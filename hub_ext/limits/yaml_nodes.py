"""Reads a file of limits node by node, so that every complaint names its line.

Words are taken as they stand: YAML's own guesses (``no`` is false, ``1:30`` is 90) are of no use for names and limits.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from ..errors import PublicError
from .checks import invalid, is_name
from .fields import FIELDS, Value, checked
from .model import DEFAULT, OwnValue, Subject
from .text import parse_time, parse_value

SECTIONS = ("default", "groups", "users")
GRANT = ("value", "until", "afterwards")
#: The one in C is ten times faster, where it was built. Its events are put together here, in small steps between which
#: other threads get on; and its own way to do that does not survive very deep nesting.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NULL = "tag:yaml.org,2002:null"
NULL_WORDS = ("", "~", "null", "Null", "NULL")
#: A file of limits has five levels.
DEEPEST = 20


def read_file(text: str, *, whole: bool) -> dict[Subject, dict[str, OwnValue]]:
    """Return the values that a file has for each subject; None where it says that one is inherited.

    Parameters
    ----------
    text : str
        The file.
    whole : bool
        Whether the file is to name all there is, so that every section has to be there.

    Raises
    ------
    PublicError
        ``limits-invalid``, with the line.
    """
    root = _root(text)
    found: dict[Subject, dict[str, OwnValue]] = {}
    sections = set()
    for section, node in _pairs(root, "the file"):
        sections.add(section.value)
        if section.value not in SECTIONS:
            raise _wrong(section, f"'{section.value}' is none of {', '.join(SECTIONS)}")
        if section.value == "default":
            found[DEFAULT] = _values(node, "default")
            continue
        for name, values in _pairs(node, section.value):
            if not is_name(name.value):
                raise _wrong(name, "that can't be a name")
            subject = Subject("group" if section.value == "groups" else "user", name.value)
            found[subject] = _values(values, str(subject))
    missing = [name for name in SECTIONS if name not in sections]
    if whole and missing:
        raise _incomplete(missing)
    return found


def _root(text: str) -> yaml.Node:
    try:
        root = _composed(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise _not_yaml(error) from None
    if root is None or root.tag == NULL:
        raise invalid("The file is empty: an export has at least the names of its sections.")
    return root


def _composed(text: str) -> yaml.Node | None:
    """Return the one document's node."""
    root: yaml.Node | None = None
    inside: list[yaml.CollectionNode] = []
    anchors: dict[str, yaml.Node] = {}
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            _close(inside.pop())
        elif isinstance(event, yaml.NodeEvent):
            node = _node(event, anchors)
            if inside:
                inside[-1].value.append(node)
            elif root is None:
                root = node
            else:
                raise _wrong(node, "not YAML of limits: there is more than one document")
            if isinstance(event, yaml.CollectionStartEvent) and isinstance(node, yaml.CollectionNode):
                inside.append(node)
            if len(inside) > DEEPEST:
                raise _wrong(node, "this is nested deeper than any limits are")
    return root


def _node(event: Any, anchors: dict[str, yaml.Node]) -> yaml.Node:
    marks = event.start_mark, event.end_mark
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise _located(marks[0].line + 1, f"not YAML: nothing is named '{event.anchor}' before")
        return anchors[event.anchor]
    node: yaml.Node
    if isinstance(event, yaml.ScalarEvent):
        plain = event.implicit[0] and event.value in NULL_WORDS
        node = yaml.ScalarNode(NULL if plain else event.tag or "", event.value, *marks)
    else:
        kind = yaml.MappingNode if isinstance(event, yaml.MappingStartEvent) else yaml.SequenceNode
        node = kind(event.tag, [], *marks)
    if event.anchor:
        anchors[event.anchor] = node
    return node


def _close(node: yaml.CollectionNode) -> None:
    """Make pairs of a mapping's keys and values, which came one after the other."""
    if isinstance(node, yaml.MappingNode):
        node.value = list(zip(node.value[::2], node.value[1::2], strict=True))


def _incomplete(missing: list[str]) -> PublicError:
    error = invalid(
        f"The file lacks {', '.join(repr(name) for name in missing)}: it would take away the values of all of them."
    )
    error.remedy = (
        "If it names everything there is, write the section with {} as its value. If it is a part, import it so that "
        "values stay which it does not name ('merge')."
    )
    return error


def _values(node: yaml.Node, what: str) -> dict[str, OwnValue]:
    found = {}
    for key, value in _pairs(node, what):
        if key.value not in FIELDS:
            raise _wrong(key, f"there is no limit named '{key.value}'; there are: {', '.join(FIELDS)}")
        found[key.value] = _own(key.value, value)
    return found


def _own(name: str, node: yaml.Node) -> OwnValue:
    if not isinstance(node, yaml.MappingNode):
        return OwnValue(_value(name, node))
    parts = {}
    for key, part in _pairs(node, name):
        if key.value not in GRANT:
            raise _wrong(key, f"'{key.value}' is none of {', '.join(GRANT)}")
        parts[key.value] = part
    value = _value(name, parts["value"]) if "value" in parts else None
    if value is None:
        raise _wrong(node, f"'{name}' needs a value")
    after = _value(name, parts["afterwards"]) if "afterwards" in parts else None
    if "until" not in parts:
        if "afterwards" in parts:
            raise _wrong(node, f"'{name}' says what comes afterwards, but not until when the value counts")
        return OwnValue(value)
    try:
        return OwnValue(value, parse_time(_word(parts["until"])), after)
    except ValueError as error:
        raise _wrong(parts["until"], str(error)) from None


def _value(name: str, node: yaml.Node) -> Value:
    try:
        if isinstance(node, yaml.SequenceNode):
            return checked(name, [_word(one) for one in node.value])
        if node.tag == NULL:
            return None
        return parse_value(name, _word(node))
    except ValueError as error:
        raise _wrong(node, str(error)) from None


def _pairs(node: yaml.Node, what: str) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    """Give keys and values of a mapping; an empty node is an empty mapping."""
    if node.tag == NULL:
        return
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(node, f"{what} must be names with values")
    seen = set()
    for key, value in node.value:
        word = _word(key)
        if word in seen:
            raise _wrong(key, f"'{word}' is there twice")
        seen.add(word)
        yield key, value


def _word(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _wrong(node, "a single word or number belongs here")
    return str(node.value)


def _wrong(node: yaml.Node, why: str) -> PublicError:
    line = node.start_mark.line + 1
    return _located(line, why)


def _not_yaml(error: Exception) -> PublicError:
    mark = getattr(error, "problem_mark", None)
    why = getattr(error, "problem", None) or "this can't be read as YAML"
    return _located(mark.line + 1 if mark else 1, f"not YAML: {why}")


def _located(line: int, why: str) -> PublicError:
    found = invalid(f"Line {line}: {why.rstrip('.')}.")
    found.numbers["line"] = line
    return found
