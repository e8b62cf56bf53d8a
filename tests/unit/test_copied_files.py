"""What is copied into other people's projects: old Pythons read it, LUTE's names are LUTE's."""

import ast
import inspect
import re
import sys

import pytest

from tests.copied import CLIENTS, module

module(CLIENTS / "holdfast_client.py")
lute = module(CLIENTS / "lute_elog.py")

# What LUTE's functions take, without annotations (elog sheet, section 3).
LUTES = {
    "get_elog_workflows": ["exp"],
    "post_elog_workflow": [
        "exp", "name", "executable", "wf_params",
        "*trigger='run_end'", "*location='S3DF'", "**trig_args",
    ],
    "get_elog_active_expmt": ["hutch", "*endstation=0"],
    "get_elog_auth": ["exp"],
    "get_elog_opr_auth": ["exp"],
    "get_elog_kerberos_auth": [],
    "elog_http_request": ["exp", "endpoint", "request_type", "**params"],
    "format_file_for_post": ["in_file"],
    "_get_current_run_status": ["update_url"],
    "post_elog_run_status": ["data", "update_url=None"],
    "post_elog_message": ["exp", "msg", "*tag", "*title", "*in_files=()"],
    "post_elog_run_table": ["exp", "run", "data"],
    "get_elog_runs_by_tag": ["exp", "tag", "auth=None"],
    "get_elog_params_by_run": ["exp", "params", "runs=None"],
}  # fmt: skip
NEWER = re.compile(
    r":=|removeprefix|removesuffix|readlink|fromisoformat|capture_output|is_relative_to"
    r"|time_ns|missing_ok|from __future__|dataclass|contextvars|AF_UNIX_|nullcontext|cached"
)


@pytest.mark.parametrize("name", ["holdfast_client.py", "lute_elog.py", "get_oms_data.py"])
def test_what_is_copied_is_short_and_for_old_pythons(name: str) -> None:
    text = (CLIENTS / name).read_text()
    tree = ast.parse(text, feature_version=(3, 6))
    imported = {
        alias.name if isinstance(node, ast.Import) else (node.module or "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level)
        for alias in node.names
    }

    assert not NEWER.search(text)
    assert {one.split(".")[0] for one in imported} <= {*sys.stdlib_module_names, "holdfast_client"}
    assert len(text.splitlines()) < (420 if name == "lute_elog.py" else 250)


def argument(one: inspect.Parameter) -> str:
    mark = {one.KEYWORD_ONLY: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    return mark + one.name + ("" if one.default is one.empty else f"={one.default!r}")


@pytest.mark.parametrize("name", LUTES)
def test_the_functions_are_lutes_with_their_arguments(name: str) -> None:
    taken = inspect.signature(getattr(lute, name)).parameters.values()

    assert [argument(one) for one in taken] == LUTES[name]
