"""The typed options of `put` are the fields of the payload models."""

import pytest
import typer

from adapters.registry import KINDS
from agent.cli import generate_fields
from agent.cli.app import app
from agent.cli.fields import ALIASES, FIELDS, MAIN_KINDS
from agent.cli.generate_fields import COMMON, HIDDEN
from agent.cli.job import TOKEN_FILE
from agent.cli.options import FORMS, Field

EVERY = [one for entries in FIELDS.values() for fields in entries.values() for one in fields]


def test_the_table_is_what_the_models_make() -> None:
    told = "run: python -m agent.cli.generate_fields > agent/cli/fields.py"
    assert generate_fields.FILE.read_text() == generate_fields.render(), told


def test_every_kind_of_entry_has_its_options() -> None:
    assert {kind: set(entries) for kind, entries in FIELDS.items()} == {
        kind: set(one.kinds) for kind, one in KINDS.items()
    }
    assert {kind: one.main_kind for kind, one in KINDS.items()} == MAIN_KINDS
    assert {kind: dict(one.aliases or {}) for kind, one in KINDS.items()} == ALIASES


def test_every_field_of_a_payload_is_an_option_or_hidden_on_purpose() -> None:
    for kind, backend in KINDS.items():
        for name, entry in backend.kinds.items():
            models = {one.alias or field for field, one in entry.payload.model_fields.items()}
            offered = {one.name for one in FIELDS[kind][name]}
            assert models - offered == {field for of, field in HIDDEN if of == kind} & models


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
def test_an_option_can_be_read_and_says_what_it_is_for(one: Field) -> None:
    assert one.form == "flag" or one.form in FORMS
    assert one.help
    assert (one.form in ("choice", "choices")) == bool(one.choices)


def test_no_option_of_a_payload_hides_one_of_every_put() -> None:
    command = typer.main.get_command(app).commands["put"]  # type: ignore[attr-defined]
    own = {option for one in command.params for option in one.opts if option.startswith("--")}

    assert own | {"--help"} == {f"--{name}" for name in COMMON}
    assert own.isdisjoint(one.option for one in EVERY)


def test_the_jobs_token_is_attached_under_the_name_that_its_kind_knows() -> None:
    secrets = {one.secret for one in KINDS["elog"].kinds.values() if one.secret is not None}

    assert secrets <= {TOKEN_FILE}
