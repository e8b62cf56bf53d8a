"""Workflow definitions: what the eLog starts by itself, created or updated by name.

Promises: never asked for as an operator account, to which the server refuses it; a definition that
is there already is replaced under its own id, and one that says the same is left alone; only a
definition that shows every field as it was handed in is a receipt (elog sheet, section 3.9).
"""

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from adapters.answer import Answer
from adapters.elog.logbook import Logbook, of_experiment
from adapters.elog.payloads import OBJECT_ID, ForExperiment, payload_of, printable
from adapters.elog.verdicts import Asked, foreign, value_of
from adapters.preview import Preview
from adapters.verdict import Parked, Rejected, Uncertain
from storage.entry import Address, Claim, Doubt, Receipt

PARAMETER = "RUN_PARAM_IS_VALUE"
# As the client LUTE calls them, and as the server does.
TRIGGERS = MappingProxyType(
    {
        "manual": "MANUAL",
        "run_start": "START_OF_RUN",
        "run_end": "END_OF_RUN",
        "param_is": PARAMETER,
        **{
            name: name
            for name in (
                "MANUAL",
                "START_OF_RUN",
                "END_OF_RUN",
                "FIRST_FILE_TRANSFERRED",
                "ALL_FILES_TRANSFERRED",
                "ALL_NONREC_FILES_TRANSFERRED",
                PARAMETER,
            )
        },
    }
)
# What proves that somebody else was faster: looked at again, and then judged anew.
RACES = re.compile(r"There already exists a workflow definition|Cannot find workflow definition")
FOR_PEOPLE = "Cannot create a workflow definition for the user"
ROUNDS = 3  # looks and tries while others change the same definition at this moment

Scalar = str | int | float | bool
NAMES = AliasChoices("run_param_name", "trig_param")
VALUES = AliasChoices("run_param_value", "run_param_val", "trig_param_val")


def trigger_of(name: str) -> str:
    """The server's name of a trigger. Raises ValueError."""
    if name not in TRIGGERS:
        raise ValueError("must be one of " + ", ".join(TRIGGERS))
    return name


def spoken(text: str) -> str:
    """`text` if it says something, in one line."""
    if not text.strip():
        raise ValueError("must not be blank")
    return printable(text)


Name = Annotated[str, StringConstraints(max_length=200), AfterValidator(spoken)]
Line = Annotated[str, StringConstraints(max_length=4000), AfterValidator(spoken)]
Trigger = Annotated[str, AfterValidator(trigger_of)]


class TriggerArguments(BaseModel):
    """What LUTE hands over as further arguments."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    run_param_name: Line | None = Field(default=None, validation_alias=NAMES)
    run_param_value: Scalar | None = Field(default=None, validation_alias=VALUES)


class Workflow(ForExperiment):
    """A definition. `run_param_name` and `run_param_value` belong to the trigger `param_is`."""

    name: Name
    executable: Line
    parameters: str | dict[str, Any] = Field(
        validation_alias=AliasChoices("parameters", "wf_params")
    )
    trigger: Trigger = "run_end"
    location: Line = "S3DF"
    trig_args: TriggerArguments | None = None
    run_param_name: Line | None = Field(default=None, validate_default=True, validation_alias=NAMES)
    run_param_value: Scalar | None = Field(
        default=None, validate_default=True, validation_alias=VALUES
    )

    @field_validator("run_param_name", "run_param_value")
    @classmethod
    def _goes_with_the_trigger(cls, said: Any, info: ValidationInfo) -> Any:
        trigger, arguments = info.data.get("trigger"), info.data.get("trig_args")
        named = getattr(arguments, str(info.field_name), None)
        if trigger is None:
            return said  # it was refused already
        if said is not None and named is not None:
            raise ValueError("was said twice: here and in trig_args")
        found = named if said is None else said
        if TRIGGERS[trigger] == PARAMETER and found is None:
            raise ValueError("is required by the trigger param_is")
        if TRIGGERS[trigger] != PARAMETER and found is not None:
            raise ValueError("counts only with the trigger param_is")
        return found


def workflow_address(entry: Workflow) -> Address:
    """Definitions of one name stay in order: the last one counts."""
    return Address(
        stream=f"{entry.experiment}/workflow {entry.name}",
        scope=entry.experiment,
        labels={"experiment": entry.experiment},
    )


def definition(entry: Workflow) -> dict[str, Any]:
    """The definition as the server spells it."""
    fields = {
        "name": entry.name,
        "executable": entry.executable,
        "parameters": entry.parameters,
        "trigger": TRIGGERS[entry.trigger],
        "location": entry.location,
        "run_param_name": entry.run_param_name,
        "run_param_value": entry.run_param_value,
    }
    return {name: value for name, value in fields.items() if value is not None}


class Workflows:
    """The workflow definitions of one logbook server."""

    def __init__(self, logbook: Logbook) -> None:
        self._logbook = logbook

    async def deliver(self, claim: Claim) -> Receipt:
        """Create the definition, or replace the one of its name. Raises DeliveryError."""
        entry = Workflow.model_validate(payload_of(claim))
        wanted = definition(entry)
        for _ in range(ROUNDS):
            there = named(await self._defined(entry.experiment), entry.name)
            if there is not None and shows(there, wanted):
                return self._receipt(claim, entry, there, duplicate=True)
            written = await self._written(entry, wanted, there)
            if written is not None:
                return self._receipt(claim, entry, written)
        raise Parked(
            f"others change the workflow {entry.name} of {entry.experiment} at this moment",
            scope=f"{entry.experiment}/workflow {entry.name}",
        )

    async def find(self, doubt: Doubt) -> Sequence[Receipt]:
        """Look for the definition by its name. What says something else is not ours."""
        entry = Workflow.model_validate(payload_of(doubt.claim))
        there = named(await self._defined(entry.experiment), entry.name)
        if there is None or not shows(there, definition(entry)):
            return []
        return [self._receipt(doubt.claim, entry, there, duplicate=True)]

    def preview(self, claim: Claim) -> Preview:
        """The definition as it is sent where there is none of its name."""
        entry = Workflow.model_validate(payload_of(claim))
        path = f"{of_experiment(entry.experiment)}/create_update_workflow_def"
        listed = self._logbook.place(f"{of_experiment(entry.experiment)}/workflow_definitions")
        remark = (
            f"GET {listed} before: one of this name is replaced, by its _id; one that says the same"
            " is left alone"
        )
        return self._logbook.preview(
            "POST",
            path,
            entry.experiment,
            as_person=True,
            json_text=json.dumps(definition(entry)),
            remarks=[remark],
        )

    async def _defined(self, experiment: str) -> list[dict[str, Any]]:
        """The definitions that there are. A list that cannot be had judges no entry."""
        path = f"{of_experiment(experiment)}/workflow_definitions"
        answer, asked = await self._logbook.ask("GET", path, experiment, as_person=True)
        try:
            return definitions(answer, asked)
        except Rejected as refused:
            detail = f"the list of workflow definitions cannot be had: {refused.detail}"
            raise Uncertain(detail, status=refused.status, excerpt=refused.excerpt) from refused
        except Parked as parked:
            raise apart(parked, asked) from parked

    async def _written(
        self, entry: Workflow, wanted: Mapping[str, Any], there: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """The definition as the server has taken it; None: somebody else was faster."""
        path = f"{of_experiment(entry.experiment)}/create_update_workflow_def"
        document = {**wanted, "_id": there["_id"]} if there is not None else dict(wanted)
        answer, asked = await self._logbook.ask(
            "POST", path, entry.experiment, json_text=json.dumps(document), as_person=True
        )
        try:
            return stored(answer, asked, wanted)
        except Rejected as refused:
            said = soft_refusal(answer)
            if RACES.match(said):
                return None
            if said.startswith(FOR_PEOPLE):
                raise for_people_only(answer, asked, said) from refused
            raise
        except Parked as parked:
            raise apart(parked, asked) from parked

    def _receipt(
        self,
        claim: Claim,
        entry: Workflow,
        stored: Mapping[str, Any],
        *,
        duplicate: bool = False,
    ) -> Receipt:
        # One definition takes many entries: our id keeps the name of each apart from the others.
        return Receipt(
            claim.id,
            remote_id=f"{stored['_id']}/{claim.id}",
            url=self._logbook.place(f"{of_experiment(entry.experiment)}/workflow_definitions"),
            duplicate=duplicate,
        )


def definitions(answer: Answer, asked: Asked) -> list[dict[str, Any]]:
    """The list of definitions. Raises the verdict of an answer that is none."""
    match value_of(answer, asked):
        case [*found] if all(_is_definition(one) for one in found):
            return found
    raise foreign(answer, asked)


def named(found: Sequence[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The definition of this name; the server lets no two have the same."""
    return next((one for one in found if one["name"] == name), None)


def shows(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Says the definition what was handed in? What the server adds, as `run_as_user`, is its own.

    Compared as JSON: to Python, true and 1 would be the same.
    """
    return all(
        name in there and _json(there[name]) == _json(value) for name, value in wanted.items()
    )


def stored(answer: Answer, asked: Asked, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition that the server echoes, with every field of ours."""
    echo = value_of(answer, asked)
    if not _is_definition(echo):
        raise foreign(answer, asked)
    if not shows(echo, wanted):
        detail = f"{asked.experiment} does not show the workflow {wanted['name']} as it was sent"
        raise Uncertain(detail, status=answer.status, excerpt=answer.text)
    return dict(echo)


def soft_refusal(answer: Answer) -> str:
    """The reason of a refusal with status 200; empty when it is none."""
    match answer.json():
        case {"success": False, "errormsg": str(reason)} if answer.status == 200:  # noqa: PLR2004
            return reason
    return ""


def for_people_only(answer: Answer, asked: Asked, said: str) -> Parked:
    """The server has taken us for an operator account, though our name is no operator's."""
    detail = (
        f"the eLog refused it to {asked.account}: {said}. Set auth.method to kerberos, bearer or"
        " auto, with the account of a person"
    )
    scope = f"{asked.experiment}/as a person"
    return Parked(detail, scope=scope, status=answer.status, excerpt=answer.text)


def apart(parked: Parked, asked: Asked) -> Parked:
    """Posts may still be taken: only what has to be done as a person waits."""
    if parked.unknown:
        return parked
    detail = parked.detail
    if parked.status == 403:  # noqa: PLR2004 - the one status
        detail = (
            f"{asked.account} may not read or define workflows of {asked.experiment} (403): that"
            " needs the role Writer in the experiment itself, one at its instrument does not count."
            " Posts go on"
        )
    scope = f"{asked.experiment}/as a person"
    return Parked(detail, scope=scope, status=parked.status, excerpt=parked.excerpt)


def _is_definition(found: Any) -> bool:
    """Without an id that the server would take, there is nothing to replace."""
    match found:
        case {"_id": str(id_), "name": str()}:
            return OBJECT_ID.fullmatch(id_) is not None
    return False


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
