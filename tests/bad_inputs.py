"""What a producer may send that must not be taken: one table, with the answer each deserves.

A case is raw bytes, because half of them are things that no HTTP client would send.
"""

from tests import bad_entries, bad_json, bad_requests
from tests.bad_cases import Bad


def all_bad() -> list[Bad]:
    """Every case; names are unique."""
    tables = (
        bad_json.not_json,
        bad_json.not_storable,
        bad_entries.wrong_envelopes,
        bad_entries.wrong_names_and_times,
        bad_entries.wrong_labels,
        bad_entries.wrong_payloads,
        bad_entries.wrong_keys,
        bad_requests.wrong_attachments,
        bad_requests.wrong_forms,
        bad_requests.wrong_http,
        bad_requests.wrong_questions,
    )
    found = [one for table in tables for one in table()]
    assert len({one.name for one in found}) == len(found)
    return found
