#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# conform.sh: the conformance suite of vfio-user on uvfio's own server, with devices that do DMA,
# migrate and have areas to map, and on uvfio's own client. A line of conform/expected is a test
# that does not pass; one that passes in spite of that fails here.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top"
U=$build/uvfio
truncate -s 16M "$tmp/disk"

# results KIND NAME STATUS: count the tests of $tmp/NAME
results() {
	local word test rest expected
	while read -r word test rest; do
		case $word in ok | FAIL | warn | skip) ;; *) continue ;; esac
		expected=$(grep -cx "$1 $test" tests/conform/expected)
		case $word:$expected in
		ok:0) ok "$2: $test" ;;
		ok:1) no "$2: $test passes, and is in conform/expected" ;;
		skip:*) echo "     $2: $test is skipped: $rest" ;;
		*:1) echo "     $2: $test does not pass, as expected" ;;
		*) no "$2: $test" "$(grep -A 40 "^$word *$test " "$tmp/$2" | sed '1!{/^[a-zA-Z]/,$d}')" ;;
		esac
	done <"$tmp/$2"
	same "$2: its exit status" "$(grep -qE '^(FAIL|warn)' "$tmp/$2" && echo 1 || echo 0)" "$3"
}

server() { # NAME SPEC
	local pid
	"$U" serve --device "$2" --socket "$tmp/socket" --log none >"$tmp/served" 2>&1 &
	pid=$!
	until [[ -s $tmp/served ]] || ! kill -0 $pid 2>/dev/null; do sleep 0.05; done
	timeout 120 "$U" conform --strict --timeout 20000 --server "$tmp/socket" >"$tmp/$1"
	results server "$1" $?
	kill $pid; wait $pid
	same "$1: the server ends well" 0 $?
	rm -f "$tmp/socket"
}

server edu edu
server testdev testdev,migration=on,ram_memory=on
server nvme "nvme,image=$tmp/disk"

client() { # NAME COMMAND...
	local name=$1; shift
	timeout 120 "$U" conform --client --strict --timeout 20000 --silent 300 -- "$@" >"$tmp/$name"
	results client "$name" $?
}
client client-messages "$build/test/conform_client" "{socket}" messages
client client-run "$U" run --log none --device "socket={socket}" -- cat /sys/bus/pci/devices/0000:01:00.0/config
counts
