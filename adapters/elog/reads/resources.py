"""What can be asked of the eLog, in words: for `--help`, and for refusals of what cannot."""

from adapters.reading import Resource

EXPERIMENT = 'name of the experiment, case-sensitive; or "current"'
OF_EXPERIMENT = {"experiment": EXPERIMENT}
DELETED = "true: with deleted entries, and old versions of edited ones"


def _of_experiment(summary: str, required: tuple[str, ...] = (), **more: str) -> Resource:
    return Resource(summary, OF_EXPERIMENT | more, "experiment", ("experiment", *required))


RESOURCES = {
    "active_experiment": Resource(
        "The experiment that is active on a station of an instrument",
        {
            "instrument": "such as mfx; that of the settings if not given",
            "station": "its number; that of the settings, or 0, if not given",
        },
        "instrument",
    ),
    "active_experiments": Resource("The experiments that are active on all stations"),
    "runs": _of_experiment(
        "All runs of an experiment, newest first",
        include_params="false: without their parameters",
    ),
    "run": _of_experiment(
        "One run with its parameters", ("run",), run='its number, or "current": the highest'
    ),
    "current_run": _of_experiment("The highest run; null while there is none"),
    "params": _of_experiment(
        "Run parameters, one row for each run: {run, params}",
        runs="which runs, as in 1,5,7 or 1:10 or 12:",
        names="which parameters, with commas between them",
        name="one parameter, also one with a comma in its name; may be given again",
    ),
    "runs_by_tag": _of_experiment(
        "The runs that have an entry with a tag, also a deleted one", ("tag",), tag="exact"
    ),
    "tags": _of_experiment("All tags that are used, and those of the instrument"),
    "tags_by_run": _of_experiment("The tags of the entries of each run"),
    "workflows": _of_experiment("The workflow definitions"),
    "workflow_jobs": _of_experiment("The jobs of workflows, with status and counters"),
    "search": _of_experiment(
        "Entries of the logbook, oldest first: say one of run, runs, since/until, tag, text (also"
        " beside tag), regex, id",
        run='number of the run, or "current"',
        runs="first and last run, as in 1:10",
        since="time with its zone, as in 2026-11-25T12:00:00Z; of the entry's relevance_time",
        until="the same; now and later, if only since is given",
        tag="exact",
        text="words (any of them, in all their forms), an author, or a tag",
        regex="regular expression on the text, case-sensitive; a wrong one finds nothing",
        id="the eLog's id of an entry",
        deleted=DELETED,
        ancestors="true: with the entries that a match answers, marked, if they do not match",
    ),
    "entries": _of_experiment("All entries of a logbook (may be very large)", deleted=DELETED),
    "entry": _of_experiment("One entry, also a deleted one", ("id",), id="the eLog's id of it"),
    "attachment": _of_experiment(
        "An attachment: {name, type, content_base64, size}",
        ("entry", "attachment"),
        entry="the eLog's id of the entry",
        attachment="the id, or the name, of the attachment",
    ),
    "raw": Resource(
        "Any page of the server that answers a GET, as raw/lgbk/EXPERIMENT/ws/NAME; all"
        " parameters are passed on as they are"
    ),
}
