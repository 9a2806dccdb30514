#!/usr/bin/env bash
# Proves the last commit in an empty folder: it installs, starts, sells a number, stops at once, and passes its tests.
set -euo pipefail
set -m # what runs in the background has a process group of its own and listens to the signal of Ctrl-C

unset MAKEFLAGS MFLAGS MAKELEVEL
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$(mktemp -d -t "numberdesk fresh.XXXXXX")
chmod 711 "$folder" # the database may run as another user
home="$folder/home" credentials="$folder/credentials.json" answer="$folder/answer.json" demo=""

is_running() { jobs -rp | grep -qx "$demo"; }

stop() { # stop SECONDS: interrupt the demo as Ctrl-C does, and tell whether it ended in time
    kill -INT -- "-$demo" 2>/dev/null || true
    for _ in $(seq $(($1 * 10))); do
        is_running || return 0
        sleep 0.1
    done
    return 1
}

clean() {
    if [ -n "$demo" ] && ! stop 20; then kill -KILL -- "-$demo"; fi
    rm -rf "$folder"
}
trap clean EXIT

fail() {
    echo "fresh: $1" >&2
    exit 1
}

field() { # field FILE PATH: print a value of a JSON file
    .venv/bin/python -c 'import functools, json, sys
print(functools.reduce(lambda found, key: found[key], sys.argv[2].split("."), json.load(open(sys.argv[1]))))' "$@"
}

call() { # call PATH BODY: post JSON with the customer's key
    curl --silent --show-error --max-time 40 --header "X-API-Key: $key" --header "Content-Type: application/json" \
        --data "$2" --output "$answer" "$url$1"
    [ "$(field "$answer" success)" = True ] || fail "$1 answered $(cat "$answer")"
}

git clone --quiet --no-local . "$folder/numberdesk"
cd "$folder/numberdesk"

port=$((20000 + RANDOM % 20000))
while (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done

make run ARGS="--port $port --home '$home' --credentials '$credentials' --no-traffic" &
demo=$!
for _ in $(seq 600); do
    [ ! -s "$credentials" ] || break
    is_running || fail "make run ended before it answered"
    sleep 0.5
done
[ -s "$credentials" ] || fail "make run did not answer within five minutes"

url=$(field "$credentials" url) key=$(field "$credentials" customer.api_key)
call /auth/get-number '{"service": "tg", "country": "IN"}'
order=$(field "$answer" data.orderId)
for _ in 1 2 3; do
    call /auth/check-otp "{\"orderId\": $order, \"wait\": 25}"
    code=$(field "$answer" data.otp)
    [ "$code" = None ] || break
done
[ "$code" != None ] || fail "no code came for order $order: $(cat "$answer")"
echo "fresh: order $order received the code $code."

stop 5 || fail "it still ran five seconds after Ctrl-C"
! (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null || fail "something still listens on port $port"
[ -z "$(find "$home" -name postmaster.pid)" ] || fail "the database still runs"
demo=""
echo "fresh: it stopped."

make test
