#!/bin/bash
# A contract test of bash and curl, which uses a session that is over on purpose:
# track-fake-server run --check --allow session.expired-cookie -- bash contract.sh
set -euo pipefail

jar=$(mktemp)
trap 'rm -f "$jar"' EXIT

function api { # PATH [CURL_OPTION]...
    local path=$1
    shift
    curl -sS --fail --noproxy '*' -b "$jar" -c "$jar" "$@" "$TRACK_URL$path"
}

function admin { # PATH JSON
    curl -sS --fail --noproxy '*' -H 'Content-Type: application/json' -d "$2" "$TRACK_ADMIN_URL$1"
}

api /api/session -o /dev/null \
    --data-urlencode "email=$TRACK_EMAIL" --data-urlencode "password=$TRACK_PASSWORD"

name=$(api /api/devices | jq -r '.[0].name')
[[ $name != null ]] || { echo "the first device has no name" >&2; exit 1; }

# A day later the session is over; a script that knows it logs in again.
admin /sessions '{"advance_s": 86400}' >/dev/null
status=$(curl -sS --noproxy '*' -b "$jar" -o /dev/null -w '%{http_code}' "$TRACK_URL/api/devices")
[[ $status == 401 ]] || { echo "a day later: $status, expected 401" >&2; exit 1; }

echo "the first device is $name"
