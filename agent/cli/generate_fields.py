"""Writes agent/cli/fields.py: the typed options of `put`, from the adapters' payload models.

    python -m agent.cli.generate_fields > agent/cli/fields.py

The models take longer to load than a `put` may; a test keeps the table true to them. A field of
a new kind of entry becomes an option by itself; what it is for is said in its model
(`Field(description=...)`) or here, in HELP.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.elog.workflow import TRIGGERS
from adapters.event_manager.event_types import EVENT_TYPES
from adapters.event_manager.payload import LOG_LEVELS
from adapters.registry import KINDS
from agent.cli.options import FORMS, Field, switches

FILE = Path(__file__).with_name("fields.py")
HEAD = '''"""The typed options of `put`, by kind of backend and of entry. Generated: do not edit.

Made from the payload models: python -m agent.cli.generate_fields > agent/cli/fields.py
"""

# fmt: off
# ruff: noqa: E501

from agent.cli.options import Field

'''
# Options that every `put` has. A field of such a name is spelt `--payload-NAME`.
COMMON = frozenset(
    "kind key stream label attach describe ndjson dry-run timeout json help".split()  # noqa: SIM905
)
HIDDEN = {
    ("elog", "trig_args"),  # --run-param-name and --run-param-value say the same
    ("event_manager", "_id"),  # --event-id says the same
    ("event_manager", "archived"),  # only false is taken
    ("event_manager", "archived_at"),  # only null is taken
}
# What a model's schema does not tell, because the model judges with code of its own.
CHOICES = {
    ("elog", "trigger"): tuple(TRIGGERS),
    ("event_manager", "event_type"): tuple(sorted(EVENT_TYPES)),
    ("event_manager", "log_level"): (
        *(name.lower() for name in LOG_LEVELS),
        *(str(number) for number in LOG_LEVELS.values()),
    ),
}
RUNS = {("elog", "run")}  # a number, or "current"; the model judges with code of its own
SIMPLE = {"string": "text", "integer": "int", "number": "number", "boolean": "flag"}
SCALARS = frozenset(SIMPLE)
FORM_OF = {**SIMPLE, "run": "run", "scalar": "scalar", "text or object": "text_or_object"}
SPELT = {"cross_post": "--cross-post"}
# By kind of backend, or kind and entry, and field; a model's own description goes before.
HELP = {
    "auditor": {
        "record_id": "What the record is known by; the same id is the same record.",
        "meta": "What it is filtered by, such as site=grid; a name may be given several times.",
        "components": 'A resource that was used: {"name": .., "amount": N, "scores": [..]}.',
        "start_time": "When it began: RFC 3339 with an offset.",
        "stop_time": "When it ended: RFC 3339 with an offset.",
        "runtime": "Seconds; AUDITOR ignores it and computes its own.",
    },
    "elog": {
        "experiment": "Whose logbook it is for, such as mfxl1000123, or `current`.",
        "text": "What it says. Or give a FILE, or `-` for standard input.",
        "title": "A line above the text.",
        "html": "The text is HTML already (it counts only beside a title).",
        "tags": "A tag of one word.",
        "run": "The run that it belongs to.",
        "author": "Who wrote it; without it, the account that the agent uses.",
        "reply_to": "The entry that it answers: the eLog's id, or the id or key of one of ours.",
        "emails": "An address that the eLog sends it to.",
        "shift": "The eLog's id of the shift that it belongs to.",
        "cross_post": "Another logbook that shows it too; `instrument` for the instrument's.",
        "params": "A column of the run table.",
        "flags": "Marks the entry.",
    },
    "elog/run_status": {
        "counters": "A counter that the job shows.",
        "experiment": "Whose job it is. Without it, $EXPERIMENT.",
        "update_url": "Where the counters go. Without it, $JID_UPDATE_COUNTERS, or the ARP_ one.",
        "job_id": "The job. Without it, $ARP_ROOT_JOB_ID.",
        "run": "The run that it works on. Without it, $RUN_NUM.",
        "user": "Who started it. Without it, the login name.",
    },
    "elog/workflow": {
        "name": "What the workflow is called; another one of this name is replaced.",
        "executable": "What is started.",
        "parameters": "What it is started with.",
        "trigger": "When it is started.",
        "location": "Where it is started.",
        "run_param_name": "The run parameter that starts it, with the trigger param_is.",
        "run_param_value": "The value that starts it.",
    },
    "event_manager": {
        "event_id": "What the event is known by; without it, the entry's id.",
        "event_type": "What happened.",
        "log_level": "How much it matters.",
        "alert": "Mail it to those who asked for alerts.",
        "event_timestamp": "When it happened: ISO 8601; without it, now.",
        "source": "Who or what it comes from, such as node_id=ULID.",
        "event_data": "Anything that belongs to it.",
        "trace_id": "The trace that it belongs to.",
        "span_id": "The span of that trace.",
    },
    "telemetry": {
        "type": "What was measured, such as weather.",
        "data": "What it said.",
        "make_current": "May it become the current value of its type?",
        "store_permanently": "Is it to be written to the server's files?",
        "meta": "What else belongs to it.",
        "ts": "When: ISO 8601; without it, now.",
        "run_id": "The name of the run.",
        "run_dir": "The folder of the run, on the server.",
    },
}


def render() -> str:
    """The module as text."""
    lines = ["FIELDS: dict[str, dict[str, tuple[Field, ...]]] = {"]
    for kind, entries in sorted(all_fields().items()):
        if not entries:
            lines.append(f'    "{kind}": {{}},')
            continue
        lines.append(f"    {kind!r}: {{".replace("'", '"'))
        for name, fields in entries.items():
            lines.append(f'        "{name}": (')
            lines += [f"            {_spelt(field)}," for field in fields]
            lines.append("        ),")
        lines.append("    },")
    lines += ["}", "", "MAIN_KINDS = {"]
    lines += [f'    "{name}": "{KINDS[name].main_kind}",' for name in sorted(KINDS)]
    lines += ["}", "", "ALIASES: dict[str, dict[str, str]] = {"]
    for name in sorted(KINDS):
        pairs = sorted((KINDS[name].aliases or {}).items())
        told = ", ".join(f'"{alias}": "{kind}"' for alias, kind in pairs)
        lines.append(f'    "{name}": {{{told}}},')
    return HEAD + "\n".join([*lines, "}", ""])


def all_fields() -> dict[str, dict[str, list[Field]]]:
    """By kind of backend and of entry. Raises ValueError where two options cannot both be had."""
    found = {
        kind: {name: list(_fields(kind, name, one.payload)) for name, one in backend.kinds.items()}
        for kind, backend in KINDS.items()
    }
    _check(found)
    return found


def _fields(kind: str, entry: str, model: Any) -> Iterator[Field]:
    schema = model.model_json_schema()
    parts = schema.get("$defs", {})
    for name, said in schema["properties"].items():
        if (kind, name) in HIDDEN:
            continue
        shape = _shape(said, parts)
        if (kind, name) in RUNS and shape.get("type") != "scalar":
            shape = {"type": "run"}
        choices = CHOICES.get((kind, name)) or _words(shape, parts)
        form = _form(shape, parts, choices)
        described = said.get("description") or _help(kind, entry, name)
        yield Field(
            name=name,
            option=_option(name, form),
            form=form,
            help=described,
            required=name in schema.get("required", ()),
            choices=choices,
        )


def _help(kind: str, entry: str, name: str) -> str:
    about = {**HELP.get(kind, {}), **HELP.get(f"{kind}/{entry}", {})}
    return about.get(name, f"The field {name} of the payload.")


def _shape(said: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field's own values, null apart. Of what may be several things, the type
    says which: "scalar", "text or object", or nothing.
    """
    if "$ref" in said:
        return _shape(parts[said["$ref"].rpartition("/")[2]], parts)
    several = [_shape(one, parts) for one in said.get("anyOf", ())]
    shapes = [one for one in several if one.get("type") != "null"]
    if len(shapes) < 2:  # noqa: PLR2004 - several
        return shapes[0] if shapes else said
    types = {str(one.get("type")) for one in shapes}
    if types == {"string", "object"}:
        return {"type": "text or object"}
    if types == {"string"}:
        return {"type": "string"}
    return {"type": "scalar"} if types <= SCALARS else {}


def _words(shape: dict[str, Any], parts: dict[str, Any]) -> tuple[str, ...]:
    """The only values that a text, or the texts of a list, may have; empty: there are others."""
    words = _shape(shape.get("items", {}), parts) if shape.get("type") == "array" else shape
    return tuple(words.get("enum", ())) if words.get("type") == "string" else ()


def _form(shape: dict[str, Any], parts: dict[str, Any], choices: tuple[str, ...]) -> str:
    if choices and shape.get("type") != "array":
        return "choice"
    match shape.get("type"):
        case "array":
            item = _shape(shape.get("items", {}), parts)
            texts = "choices" if choices else "texts"
            return texts if item.get("type") == "string" else "objects"
        case "object":
            return _map_form(shape, parts)
        case simple:
            return FORM_OF.get(str(simple), "json")


def _map_form(shape: dict[str, Any], parts: dict[str, Any]) -> str:
    """What the values of an object are: texts, lists of texts, or anything."""
    more = shape.get("additionalProperties")
    values = list(shape.get("properties", {}).values()) + ([more] if isinstance(more, dict) else [])
    kinds = {str(_shape(one, parts).get("type")) for one in values}
    if more is True or kinds - {"string", "array"} or len(kinds) != 1:
        return "map"
    return "text_map" if kinds == {"string"} else "list_map"


def _option(name: str, form: str) -> str:
    if name in SPELT:
        return SPELT[name]
    many = form in FORMS and FORMS[form].many
    word = (name.removesuffix("s") if many else name).strip("_").replace("_", "-")
    return f"--payload-{word}" if word in COMMON else f"--{word}"


def _check(found: dict[str, dict[str, list[Field]]]) -> None:
    """One spelling has one shape everywhere: it is read before anybody knows the backend."""
    shapes: dict[str, bool] = {}
    for kind, entries in found.items():
        for name, fields in entries.items():
            for option, takes_value in switches(fields).items():
                if shapes.setdefault(option, takes_value) != takes_value:
                    raise ValueError(f"{option} of {kind} {name}: a switch here, a value elsewhere")
            if len(switches(fields)) < len({one.name for one in fields}):
                raise ValueError(f"{kind} {name}: two fields have the same option")


def _spelt(field: Field) -> str:
    told = [_text(part) for part in (field.name, field.option, field.form, field.help)]
    if field.required:
        told.append("required=True")
    if field.choices:
        words = ", ".join(_text(word) for word in field.choices)
        comma = "," if len(field.choices) == 1 else ""
        told.append(f"choices=({words}{comma})")
    return f"Field({', '.join(told)})"


def _text(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"' if '"' not in text else repr(text)


if __name__ == "__main__":
    sys.stdout.write(render())
