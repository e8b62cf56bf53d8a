#!/bin/bash
# Posts how the night was to the eLog: once per day, silent unless somebody has to act.
#
#   nightly_summary.sh EXPERIMENT DATA_DIR [DAY]
set -euo pipefail

experiment=$1 data=$2 day=${3:-$(date +%F)}

post=$(mktemp --suffix=.md)
trap 'rm -f "$post"' EXIT
{
  printf -- '---\nexperiment: %s\ntags: [NIGHTLY]\n---\n' "$experiment"
  echo "Summary of $day on $(hostname)"
  echo "files written in the last day: $(find "$data" -type f -mtime -1 | wc -l)"
  echo "disk: $(df -h --output=pcent,avail "$data" | tail -1)"
} >"$post"

# The key is the day's: should the job run twice, the eLog has it once. An agent that is away is
# no reason for a mail: put leaves the post in the spool then, and ends with 0.
if ! said=$(holdfast put elog --key "nightly-$experiment-$day" "$post" 2>&1); then
  echo "The summary of $day was not handed in: $said" >&2
  exit 1
fi
