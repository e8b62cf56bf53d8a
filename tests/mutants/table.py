"""The lines on which the promises hang, how each is broken, and the test that has to notice."""

from dataclasses import dataclass

MODEL = "tests/unit/test_outbox_model.py"
CRASH = "tests/integration/test_outbox_crash.py"
DOUBT = "tests/integration/test_lane_doubt.py"
KEYS = "tests/integration/test_outbox_keys.py"
SCOPES = "tests/integration/test_lane_scopes.py"
STREAMS = "tests/integration/test_lane_streams.py"
ERRORS = "tests/integration/test_lane_errors.py"
FILES = "tests/integration/test_attachments.py"
WRITER = "tests/integration/test_writer.py"
CUTS = "tests/integration/test_spool_crash.py"
LATE = f"{MODEL}::test_a_worker_of_an_earlier_life_changes_no_row"


@dataclass(frozen=True)
class Mutant:
    """In `file`, `before` (found there exactly once) becomes `after`; `test` has to fail."""

    name: str
    file: str
    before: str
    after: str
    test: str


TABLE = (
    Mutant(
        "confirm without looking at the token",
        "storage/settle.py",
        '"DELETE FROM entry WHERE seq IN :seqs AND state = 1 AND token = :token RETURNING "',
        '"DELETE FROM entry WHERE seq IN :seqs AND state = 1 AND :token = :token RETURNING "',
        LATE,
    ),
    Mutant(
        "give back without looking at the token",
        "storage/settle.py",
        'WHERE seq = :seq AND state = 1 AND token = :token\n    """',
        'WHERE seq = :seq AND state = 1 AND :token = :token\n    """',
        LATE,
    ),
    Mutant(
        "bury without looking at the token",
        "storage/settle.py",
        "WHERE seq = :seq AND state = 1 AND token = :token\n    RETURNING",
        "WHERE seq = :seq AND state = 1 AND :token = :token\n    RETURNING",
        LATE,
    ),
    Mutant(
        "commits are not synced",
        "storage/engine.py",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = OFF",
        f"{WRITER}::test_the_writers_connection_syncs_every_commit",
    ),
    Mutant(
        "answered before the commit",
        "storage/writer.py",
        """                results = [run(connection, requests) for requests in in_a_row(group)]
""",
        """                results = [run(connection, requests) for requests in in_a_row(group)]
                for request, result in [pair for part in results for pair in part]:
                    request.future.set_result(result[0] if request.single else result)
                results = []
""",
        f"{WRITER}::test_nothing_is_answered_before_its_commit",
    ),
    Mutant(
        "the entry leaves in a transaction before that of its receipt",
        "storage/settle.py",
        '    crash.point("confirm.left")\n',
        '    connection.exec_driver_sql("COMMIT")\n'
        '    connection.exec_driver_sql("BEGIN IMMEDIATE")\n'
        '    crash.point("confirm.left")\n',
        f"{CRASH}::test_a_move_is_whole_or_not_at_all",
    ),
    Mutant(
        "a receipt is not looked for when its key comes again",
        "storage/accept.py",
        "    delivered = _delivered(connection, entries, urls)\n",
        "    delivered: dict[str, Row[Any]] = {}\n",
        f"{KEYS}::test_a_key_again_is_the_same_or_taken",
    ),
    Mutant(
        "other content under a delivered key passes for the same",
        "storage/accept.py",
        "    same = row.digest == one.digest\n",
        "    same = True\n",
        f"{KEYS}::test_a_key_again_is_the_same_or_taken",
    ),
    Mutant(
        "other content under a waiting key passes for the same",
        "storage/accept.py",
        "    same = holder.digest == one.digest\n",
        "    same = True\n",
        f"{KEYS}::test_a_key_again_is_the_same_or_taken",
    ),
    Mutant(
        "receipts of another address count",
        "storage/accept.py",
        '    receipt.c.backend_url == bindparam("of_url"),\n',
        '    bindparam("of_url") == bindparam("of_url"),\n',
        f"{KEYS}::test_receipts_belong_to_the_address",
    ),
    Mutant(
        "a resting scope is claimed from",
        "storage/claim.py",
        '            closed=open_ones if closed else "",\n',
        '            closed="",\n',
        f"{SCOPES}::test_a_parked_scope_rests_and_other_scopes_flow",
    ),
    Mutant(
        "what is not the head of its stream is claimed",
        "storage/accept.py",
        "(_HAS_NO_HEAD, 1), else_=0)",
        "else_=1)",
        f"{STREAMS}::test_one_entry_of_a_stream_is_out_at_a_time",
    ),
    Mutant(
        "after a confirm the stream has no head",
        "storage/settle.py",
        " for row in rows if row.stream is not None])\n    crash.point(",
        " for row in rows if row.stream is None])\n    crash.point(",
        f"{STREAMS}::test_a_stream_stays_in_order_through_everything",
    ),
    Mutant(
        "what was on the wire when the agent died is not in doubt",
        "storage/settle.py",
        "state = 0, token = NULL, in_doubt = 1, due_at = -urgency",
        "state = 0, token = NULL, in_doubt = 0, due_at = -urgency",
        f"{DOUBT}::test_after_a_crash_what_was_claimed_is_looked_for",
    ),
    Mutant(
        "a lost answer leaves no doubt",
        "agent/retry.py",
        "claim, due_at, in_doubt=True, counted=others_confirmed",
        "claim, due_at, in_doubt=False, counted=others_confirmed",
        f"{ERRORS}::test_a_lost_answer_leaves_the_entry_in_doubt",
    ),
    Mutant(
        "what is in doubt is sent without looking",
        "agent/delivery.py",
        '        if kind.in_doubt == "find":\n            found = await self._look(claim)',
        '        if kind.in_doubt == "never":\n            found = await self._look(claim)',
        f"{DOUBT}::test_what_is_found_is_delivered_and_never_sent_again",
    ),
    Mutant(
        "one empty search is proof enough",
        "agent/delivery.py",
        "            if found < self._route.kind.absent_answers:\n",
        "            if found < 1:\n",
        f"{DOUBT}::test_two_empty_searches_apart_come_before_a_resend",
    ),
    Mutant(
        "what another entry's receipt holds is taken for ours",
        "agent/delivery.py",
        "            free = one.remote_id not in known\n",
        "            free = True\n",
        f"{DOUBT}::test_candidates_that_are_other_entries_already_are_passed_over",
    ),
    Mutant(
        "two entries in doubt take the same candidate",
        "agent/delivery.py",
        "self._spoken_for.setdefault(one.remote_id, claim.id) == claim.id",
        "self._spoken_for.setdefault(one.remote_id, claim.id)",
        f"{DOUBT}::test_two_entries_that_are_looked_for_at_the_same_time_find_two_things",
    ),
    Mutant(
        "a claim takes nothing off the queue",
        "storage/claim.py",
        "        state = 1, token = :token, claimed_by = :token,",
        "        state = 0, token = :token, claimed_by = :token,",
        "tests/integration/test_outbox_durability.py"
        "::test_what_was_claimed_when_the_agent_died_is_in_doubt",
    ),
    Mutant(
        "a spool file is removed before its entry is accepted",
        "agent/spool/taking.py",
        '        terms.checkpoint("spool.read")\n',
        "        os.unlink(look.name, dir_fd=look.folder.fd)\n"
        '        terms.checkpoint("spool.read")\n',
        f"{CUTS}::test_a_cut_at_each_step_repeats_work_and_nothing_else",
    ),
    Mutant(
        "a spool file is removed although it has changed",
        "agent/spool/parting.py",
        "    if status is None or files.print_of(status) != look.print:\n",
        "    if status is None:\n",
        "tests/integration/test_spool_trouble.py"
        "::test_a_file_that_changes_while_it_is_accepted_stays",
    ),
    Mutant(
        "a file's key does not tell it from an earlier one",
        "agent/spool/taking.py",
        "identity = formats.identity(look.path, look.print[0], look.print[3], look.size, digest)\n"
        "    body, hint",
        "identity = formats.identity(look.path, look.size, digest)\n    body, hint",
        "tests/integration/test_spool.py::test_the_same_bytes_dropped_twice_are_two_entries",
    ),
    Mutant(
        "an attachment is not on the disk when its entry is",
        "storage/attachments.py",
        "        os.fsync(self._file.fileno())\n",
        "",
        f"{FILES}::test_bytes_and_names_are_durable_before_they_are_spoken_of",
    ),
    Mutant(
        "an attachment's name is not on the disk when its entry is",
        "storage/attachments.py",
        "            fsync_folder(folder)\n",
        "            pass\n",
        f"{FILES}::test_bytes_and_names_are_durable_before_they_are_spoken_of",
    ),
    Mutant(
        "the sweep at start deletes what entries hold",
        "storage/attachments.py",
        "orphans = sorted(set(found) - held(found))",
        "orphans = sorted(set(found))",
        f"{FILES}::test_the_sweep_keeps_what_entries_hold",
    ),
    Mutant(
        "two agents live on one folder",
        "storage/lock.py",
        "while not (taken := _flock(descriptor, fcntl.LOCK_EX)):",
        "while not (taken := _flock(descriptor, fcntl.LOCK_SH)):",
        "tests/integration/test_lock.py::test_a_second_agent_is_refused_and_told_who_lives",
    ),
    Mutant(
        "a storm of rejections buries everything",
        "agent/settling.py",
        "        if len(progress.rejected_in_row) >= STORM:\n",
        "        if len(progress.rejected_in_row) >= 10 * STORM:\n",
        "tests/integration/test_lane_storm.py::test_in_a_reject_storm_nothing_is_buried",
    ),
    Mutant(
        "a 200 of anybody confirms a post",
        "adapters/elog/proofs.py",
        'if not isinstance(stored, dict) or not REMOTE_ID.fullmatch(str(stored.get("_id"))):',
        "if not isinstance(stored, dict):",
        "tests/integration/elog/test_elog_verdicts.py::test_each_answer_has_its_verdict",
    ),
    Mutant(
        "a switch of the experiment is not noticed",
        "adapters/elog/moment.py",
        "not self.is_to_come and self.after(time + MARGIN_MS)",
        "not self.is_to_come",
        "tests/integration/elog/test_elog_current.py::test_a_switch_since_then_is_a_matter_for_a_person",
    ),
    Mutant(
        "what is released is found out anew",
        "adapters/elog/current.py",
        "            raise Held(held.detail, proposal=whole) from held\n",
        "            raise Held(held.detail) from held\n",
        "tests/integration/elog/test_elog_current_lane.py"
        "::test_a_run_that_has_changed_is_agreed_to_by_a_release",
    ),
    Mutant(
        "a write that failed in its group takes the others down",
        "storage/writer.py",
        "                for one in group:\n                    self._commit([one])\n",
        "                for one in group:\n                    one.future.set_exception(exc)\n",
        f"{WRITER}::test_a_request_that_fails_takes_only_itself_down",
    ),
    Mutant(
        "counters that could not be read are written over",
        "adapters/elog/jid.py",
        'rest.get("success", True) is True',
        "True",
        "tests/integration/elog/test_elog_run_status.py::test_what_is_no_list_of_counters_writes_nothing",
    ),
    Mutant(
        "a job's credential goes to whoever calls himself a job service",
        "adapters/elog/jid.py",
        "        return mine == (other.scheme, other.host, other.port, start)\n",
        "        return self.host in other.host\n",
        "tests/unit/test_elog_jid.py::test_another_place_is_not_taken",
    ),
    Mutant(
        "a job service that is well lets posts be buried",
        "agent/route.py",
        "return kind in self.kinds_elsewhere",
        "return False",
        "tests/integration/test_lane_elsewhere.py::test_its_confirms_are_no_proof_that_others_pass",
    ),
)
