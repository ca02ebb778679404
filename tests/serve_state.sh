#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# serve_state.sh: a server of `--state` is killed again and again, at any moment, and started again,
# under a driver that works all the time and knows what must come of it (tests/serve/state.c). It is
# ended by SIGTERM in the same way. Where it cannot go on exactly the driver must be told. What one such moment leaves, and all that is refused, is in
# src/lasting/file_test.c and src/vfio_user/server/lasting_test.c.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top"
U=$build/uvfio T=$build/test/serve_state log=$tmp/log
mkdir "$tmp/state"; mkfifo "$tmp/says" "$tmp/go"; truncate -s 1M "$tmp/disk"

# serve SPEC [OPTION...]: have a server of it, which clients can connect to when this returns
serve() {
	local spec=$1; shift
	"$U" serve --state "$tmp/state" --device "$spec" --socket "$tmp/sock" "$@" \
		>"$tmp/says" 2>>"$log" 8>&- & pid=$!
	read -r _ <"$tmp/says"
}

# under NAME SPEC SIGNAL TIMES [OPTION...]: the driver NAME works, and the server gets SIGNAL
under() {
	local name=$1 spec=$2 signal=$3 times=$4 i driver; shift 4
	: >"$log" >"$tmp/driver" # not the last one's, which has "works" in it
	serve "$spec" "$@"
	timeout 100 "$U" run --memlock unlimited --log warn \
		--device socket="$tmp/sock",reconnect=60 -- \
		"$T" "$name" 0000:01:00.0 <"$tmp/go" >"$tmp/driver" 2>&1 & driver=$!
	exec 8>"$tmp/go"
	for ((i = 0; i < 1000; i++)); do grep -q works "$tmp/driver" && break; sleep 0.02; done
	for ((i = 0; i < times; i++)); do
		# at times before the client is back
		sleep "0.$((RANDOM % 2))$((RANDOM % 10))$((RANDOM % 10))"
		kill -"$signal" "$pid"; wait "$pid" 2>/dev/null; rc=$?
		[[ $signal == KILL || $rc -eq 0 ]] || no "$name: the server's end: status $rc"
		serve "$spec" "$@"
	done
	sleep 0.1
	exec 8>&-
	wait "$driver"; rc=$?
	on=$(grep -c 'goes on with the device' "$log") off=$(grep -c 'cannot go on' "$log")
	lost=$(sed -n 's/.* done, \(.*\) lost$/\1/p' "$tmp/driver")
	# one that is killed before its client is done with it says so, too, and the next one again
	reset=$(grep -c 'but the device was reset' "$tmp/driver")
	same "$name, $signal${*:+, $*}: the driver ends well" 0 "$rc"
	[[ $rc = 0 ]] || cat "$tmp/driver"
	echo "     $(tail -n 1 "$tmp/driver"); the server: $on times as it was, $off as after a reset"
	kill -TERM "$pid"; wait "$pid" 2>/dev/null; rc=$?
	same "$name: the server ends well" 0 "$rc"
	check "$name: nobody wants the state any more" \
		bash -c "[[ '$*' == *--sandbox* || ! -e '$tmp/state/0000:01:00.0.state' ]]"
	check "$name: nothing was refused" bash -c "! grep 'is refused' $log"
}
# exact: each time that the client was back it went on as it was; told: or the driver was told
exact() {
	same "$1: it was never lost" "0 0" "$off $lost"
	check "$1: it went on" test "$on" -gt 0
}
# frames N: of what was on its way when the server was killed one frame each may come once more, and
# be counted in vain
frames() {
	read -r twice vain <<<"$(sed -n 's/^\(.*\) twice, \(.*\) counted.*/\1 \2/p' "$tmp/driver")"
	check "igb: $twice frames came twice, $vain were counted and did not come" \
		test "$twice" -le "$1" -a "$vain" -ge 0 -a "$vain" -le "$1"
}
told() {
	# two at once are one event of the driver's
	check "$1: the driver was told when it was lost ($off, $reset, $lost)" \
		test "$lost" -le "$reset" -a "$reset" -le "$off" -a \
		"$((lost > 0))$((reset > 0))" = "$((off > 0))$((off > 0))"
	check "$1: it went on" test "$on" -gt 0
}

under testdev testdev KILL 25; told testdev
under edu edu KILL 25; told edu
under nvme nvme,image="$tmp/disk" KILL 25; exact nvme
# flushes, a medium that is one, answers that wait, and threads in the place of io_uring
under nvme nvme,latency=1us-1ms,image="$tmp/disk" KILL 8 --sandbox; exact nvme
under igb igb KILL 25; exact igb; frames 25
under testdev testdev TERM 5 --sandbox; exact testdev
under edu edu TERM 5; exact edu
under nvme nvme,image="$tmp/disk" TERM 5 --sandbox; exact nvme
under igb igb TERM 5 --sandbox; exact igb; frames 0
counts
