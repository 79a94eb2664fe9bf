"""Write docs/reference from the help texts in the code: ``make docs``."""

import inspect
import sys
import textwrap
from pathlib import Path

import metrics
from traitlets import TraitType
from traitlets.config import Configurable

from hadoop_edge.app import HadoopEdge
from hub_ext.configure import configure
from hub_ext.errors import CASES
from hub_ext.limits import FIELDS
from hub_ext.spawner import RemoteKernelMixin
from hub_ext.web.service import Service
from hub_gateway.app import HubGateway
from hub_gateway.handlers.limits import api_document
from hub_portal.app import HubPortal

REFERENCE = Path(__file__).parent / "reference"
NOTICE = "<!-- Written by docs/generate.py from the code; change the help texts there. -->\n"


def pages() -> dict[str, str]:
    """Return every page's file name and text."""
    return {
        "spawner.md": _page("The spawner", [RemoteKernelMixin]),
        "gateway.md": _page("The gateway", [HubGateway]),
        "portal.md": _page("The portal", [HubPortal]),
        "edge.md": _page("The edge service", [HadoopEdge]),
        "services.md": _page("What every service takes", [Service]),
        "limits.md": _limits(),
        "errors.md": _errors(),
        "limits-api.md": _limits_api(),
        "metrics.md": f"{NOTICE}\n{metrics.page()}",
        "configure.md": f"{NOTICE}\n# hub_ext.configure\n\n```\n{inspect.getdoc(configure)}\n```\n",
    }


def _page(title: str, classes: list[type[Configurable]]) -> str:
    parts = [NOTICE, f"# {title}\n"]
    for cls in classes:
        parts.append(f"{inspect.getdoc(cls)}\n")
        parts += [_trait(cls, name, trait) for name, trait in sorted(_own_traits(cls).items())]
    return "\n".join(parts)


def _own_traits(cls: type[Configurable]) -> dict[str, TraitType]:
    """Return the settings that come from the class's own package."""
    package = cls.__module__.partition(".")[0]
    traits = cls.class_traits(config=True)
    return {name: trait for name, trait in traits.items() if trait.this_class.__module__.startswith(f"{package}.")}


def _trait(cls: type[Configurable], name: str, trait: TraitType) -> str:
    help_text = textwrap.dedent(str(trait.help)).strip()
    shown = trait.default_value_repr() if not callable(getattr(cls, f"_default_{name}", None)) else "see the text"
    return f"## `c.{cls.__name__}.{name}`\n\n{type(trait).__name__}, default `{shown}`\n\n{help_text}\n"


def _limits() -> str:
    rows = "\n".join(f"| `{field.name}` | {field.unit} | {field.help} |" for field in FIELDS.values())
    return (
        f"{NOTICE}\n# Limits\n\n"
        "A limit is missing (inherited), 0, a number, or `unlimited`: three different things. Each is resolved on "
        "its own: the user's value, else the least restrictive of the groups, else the default.\n\n"
        f"| name | unit | what it limits |\n|---|---|---|\n{rows}\n"
    )


def _limits_api() -> str:
    document = api_document()
    rows = [
        f"| `{method.upper()} {path[1:]}` | {one['summary']} | {one['description']} | {', '.join(one['responses'])} |"
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    ]
    return (
        f"{NOTICE}\n# The API of limits\n\n"
        f"Below `{document['servers'][0]['url']}/`, with a token of the Hub in the header `Authorization: token …`. "
        "Bodies and answers are JSON; the gateway serves the whole OpenAPI document as `openapi.json` there. Memory is "
        "MiB, durations are seconds, a time carries its zone.\n\n"
        'Every error is `{"code", "text", "details", "remedy", "numbers", …}`. A change that has consequences '
        "(`limits-need-confirmation`, 409) lists them in `details` and is made when it is sent again with "
        '`"confirmed": true`. A change that carries the `revision` its editor saw is refused (`limits-changed`, 409) '
        "when there is another one by then.\n\n"
        "| what | what it does | for whom | answers |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _errors() -> str:
    rows = "\n".join(f"| `{code}` | {case.status} | {case.meaning} |" for code, case in CASES.items())
    return (
        f"{NOTICE}\n# Errors\n\n"
        "Every error that a person or program meets is one of these. In an answer of the API it is JSON: `code` (also "
        "as `reason`), `message` (all sentences, for a dialog), `text` (the first sentence), `details`, `remedy`, and "
        "`numbers` with the figures of the sentences. Anything else that goes wrong is logged under a reference, and "
        "shown as `internal-error` with that reference.\n\n"
        "## Numbers of a refused start\n\n"
        "`field`, `asked`, `limit`, `unit`, and `source`: where the limit comes from (`default`, `user`, `group NAME`, "
        "or `cluster` and `queue PATH` for what the cluster can't do). For limits also `used`, `free` and `largest` "
        "(what would fit), and `fields` with every limit that is exceeded. `asked` is `unlimited` for dynamic "
        "allocation without a maximum. `part` says whether it is the `driver` or an `executor`.\n\n"
        f"## Codes\n\n| code | status | meaning |\n|---|---|---|\n{rows}\n"
    )


def main() -> int:
    """Write the pages; with ``--check`` only say which ones differ."""
    REFERENCE.mkdir(exist_ok=True)
    differing = []
    for name, text in pages().items():
        path = REFERENCE / name
        if path.exists() and path.read_text() == text:
            continue
        differing.append(name)
        if "--check" not in sys.argv:
            path.write_text(text)
    print("\n".join(differing) or "The reference is up to date.")
    return 1 if differing and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
