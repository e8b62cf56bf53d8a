"""The typed options of `put`, by kind of backend and of entry. Generated: do not edit.

Made from the payload models: python -m agent.cli.generate_fields > agent/cli/fields.py
"""

# fmt: off
# ruff: noqa: E501

from agent.cli.options import Field

FIELDS: dict[str, dict[str, tuple[Field, ...]]] = {
    "auditor": {
        "record": (
            Field("record_id", "--record-id", "text", "What the record is known by; the same id is the same record.", required=True),
            Field("meta", "--meta", "list_map", "What it is filtered by, such as site=grid; a name may be given several times."),
            Field("components", "--component", "objects", 'A resource that was used: {"name": .., "amount": N, "scores": [..]}.', required=True),
            Field("start_time", "--start-time", "text", "When it began: RFC 3339 with an offset.", required=True),
            Field("stop_time", "--stop-time", "text", "When it ended: RFC 3339 with an offset."),
            Field("runtime", "--runtime", "int", "Seconds; AUDITOR ignores it and computes its own."),
        ),
        "record_update": (
            Field("record_id", "--record-id", "text", "What the record is known by; the same id is the same record.", required=True),
            Field("meta", "--meta", "list_map", "What it is filtered by, such as site=grid; a name may be given several times."),
            Field("components", "--component", "objects", 'A resource that was used: {"name": .., "amount": N, "scores": [..]}.', required=True),
            Field("start_time", "--start-time", "text", "When it began: RFC 3339 with an offset."),
            Field("stop_time", "--stop-time", "text", "When it ended: RFC 3339 with an offset.", required=True),
            Field("runtime", "--runtime", "int", "Seconds; AUDITOR ignores it and computes its own."),
        ),
    },
    "elog": {
        "post": (
            Field("experiment", "--experiment", "text", "Whose logbook it is for, such as mfxl1000123, or `current`.", required=True),
            Field("text", "--text", "text", "What it says. Or give a FILE, or `-` for standard input.", required=True),
            Field("title", "--title", "text", "A line above the text."),
            Field("html", "--html", "flag", "The text is HTML already (it counts only beside a title)."),
            Field("tags", "--tag", "texts", "A tag of one word."),
            Field("run", "--run", "run", "The run that it belongs to."),
            Field("author", "--author", "text", "Who wrote it; without it, the account that the agent uses."),
            Field("reply_to", "--reply-to", "text", "The entry that it answers: the eLog's id, or the id or key of one of ours."),
            Field("emails", "--email", "texts", "An address that the eLog sends it to."),
            Field("shift", "--shift", "text", "The eLog's id of the shift that it belongs to."),
            Field("cross_post", "--cross-post", "texts", "Another logbook that shows it too; `instrument` for the instrument's."),
            Field("flags", "--flag", "choices", "Marks the entry.", choices=("issue", "roadblock", "command_followup")),
        ),
        "run_params": (
            Field("experiment", "--experiment", "text", "Whose logbook it is for, such as mfxl1000123, or `current`.", required=True),
            Field("run", "--run", "run", "The run that it belongs to.", required=True),
            Field("params", "--param", "map", "A column of the run table.", required=True),
        ),
        "run_status": (
            Field("counters", "--counter", "map", "A counter that the job shows.", required=True),
            Field("update_url", "--update-url", "text", "Where the counters go. Without it, $JID_UPDATE_COUNTERS, or the ARP_ one."),
            Field("experiment", "--experiment", "text", "Whose job it is. Without it, $EXPERIMENT."),
            Field("job_id", "--job-id", "text", "The job. Without it, $ARP_ROOT_JOB_ID."),
            Field("run", "--run", "scalar", "The run that it works on. Without it, $RUN_NUM."),
            Field("user", "--user", "text", "Who started it. Without it, the login name."),
        ),
        "workflow": (
            Field("experiment", "--experiment", "text", "Whose logbook it is for, such as mfxl1000123, or `current`.", required=True),
            Field("name", "--name", "text", "What the workflow is called; another one of this name is replaced.", required=True),
            Field("executable", "--executable", "text", "What is started.", required=True),
            Field("parameters", "--parameters", "text_or_object", "What it is started with.", required=True),
            Field("trigger", "--trigger", "choice", "When it is started.", choices=("manual", "run_start", "run_end", "param_is", "MANUAL", "START_OF_RUN", "END_OF_RUN", "FIRST_FILE_TRANSFERRED", "ALL_FILES_TRANSFERRED", "ALL_NONREC_FILES_TRANSFERRED", "RUN_PARAM_IS_VALUE")),
            Field("location", "--location", "text", "Where it is started."),
            Field("run_param_name", "--run-param-name", "text", "The run parameter that starts it, with the trigger param_is."),
            Field("run_param_value", "--run-param-value", "scalar", "The value that starts it."),
        ),
    },
    "event_manager": {
        "event": (
            Field("event_id", "--event-id", "text", "What the event is known by; without it, the entry's id."),
            Field("event_type", "--event-type", "choice", "What happened.", choices=("action_complete", "action_failed", "action_start", "action_status_change", "attachment_create", "attachment_delete", "backup_create", "backup_restore", "campaign_abort", "campaign_complete", "campaign_create", "campaign_start", "data_export", "data_query", "data_store", "experiment_cancelled", "experiment_complete", "experiment_continued", "experiment_create", "experiment_failed", "experiment_pause", "experiment_start", "experiment_stop", "lab_create", "lab_start", "lab_stop", "location_create", "location_delete", "location_update", "log", "log_critical", "log_debug", "log_error", "log_info", "log_warning", "manager_error", "manager_health_check", "manager_start", "manager_stop", "node_config_update", "node_create", "node_error", "node_start", "node_status_update", "node_stop", "resource_allocate", "resource_create", "resource_delete", "resource_release", "resource_update", "test", "unknown", "workcell_config_update", "workcell_create", "workcell_start", "workcell_status_update", "workcell_stop", "workflow_abort", "workflow_complete", "workflow_create", "workflow_start", "workflow_step_complete", "workflow_step_failed", "workflow_step_start")),
            Field("log_level", "--log-level", "choice", "How much it matters.", choices=("notset", "debug", "info", "warning", "error", "critical", "0", "10", "20", "30", "40", "50")),
            Field("alert", "--alert", "flag", "Mail it to those who asked for alerts."),
            Field("event_timestamp", "--event-timestamp", "text", "When it happened: ISO 8601; without it, now."),
            Field("source", "--source", "text_map", "Who or what it comes from, such as node_id=ULID."),
            Field("event_data", "--event-data", "json", "Anything that belongs to it."),
            Field("trace_id", "--trace-id", "text", "The trace that it belongs to."),
            Field("span_id", "--span-id", "text", "The span of that trace."),
        ),
    },
    "oms": {},
    "telemetry": {
        "event": (
            Field("type", "--type", "text", "What was measured, such as weather.", required=True),
            Field("data", "--data", "json", "What it said.", required=True),
            Field("make_current", "--make-current", "flag", "May it become the current value of its type?"),
            Field("store_permanently", "--store-permanently", "flag", "Is it to be written to the server's files?"),
            Field("meta", "--meta", "map", "What else belongs to it."),
            Field("ts", "--ts", "text", "When: ISO 8601; without it, now."),
        ),
        "run_start": (
            Field("run_id", "--run-id", "text", "The name of the run."),
            Field("run_dir", "--run-dir", "text", "The folder of the run, on the server."),
            Field("meta", "--meta", "map", "What else belongs to it."),
        ),
        "run_stop": (
            Field("run_id", "--run-id", "text", "The name of the run."),
        ),
    },
}

MAIN_KINDS = {
    "auditor": "record",
    "elog": "post",
    "event_manager": "event",
    "oms": "",
    "telemetry": "event",
}

ALIASES: dict[str, dict[str, str]] = {
    "auditor": {},
    "elog": {"run_table": "run_params"},
    "event_manager": {},
    "oms": {},
    "telemetry": {},
}
