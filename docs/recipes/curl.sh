#!/usr/bin/env bash
# Hand one entry to Holdfast with curl; leave it in the spool if the agent is away, hangs or is full.
#
#   echo '{"event_type": "test"}' | ./curl.sh events
#
# Prints the agent's answer, or `spooled PATH`. Exit 65: the agent refused it; 69: stored nowhere.
set -euo pipefail
umask 007  # the agent is in the spool's group and has to read the file

backend=$1
socket=${HOLDFAST_AGENT__SOCKET:-/run/holdfast/agent.sock}
spool=${HOLDFAST_AGENT__SPOOL_DIR:-/var/spool/holdfast}

# The key comes first and is the same on both ways: so it is one entry, whatever gets lost.
key=sh-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
entry="{\"backend\": \"$backend\", \"key\": \"$key\", \"created_at\": \"$(date -u +%FT%TZ)\", \"payload\": $(cat)}"

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
status=$(printf '%s' "$entry" | curl --silent --max-time 2 --unix-socket "$socket" \
  --header 'Content-Type: application/json' --data-binary @- \
  --output "$answer" --write-out '%{http_code}' http://localhost/v1/entries) || status=000

case $status in
  200 | 202)
    cat "$answer"
    echo
    ;;
  408 | 429 | 5?? | 000)
    hidden=$spool/$backend/.$key path=$spool/$backend/$key.json
    { [ -d "$spool/$backend" ] || mkdir -m 2770 "$spool/$backend"; } &&
      printf '%s' "$entry" >"$hidden" && sync "$hidden" &&
      mv "$hidden" "$path" && sync "$spool/$backend" || {
      rm -f "$hidden"
      echo "NOT stored: no answer from $socket, and $spool/$backend cannot be written" >&2
      exit 69
    }
    echo "spooled $path"
    ;;
  *)
    cat "$answer" >&2
    echo >&2
    exit 65
    ;;
esac
