#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# serve_sandbox.sh: a server that has confined itself: its devices do what they do in a program, by
# drivers that do everything, and with clients that come, go and are killed. What it may not do is
# in src/cli/sandbox_test.c.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top"
BUILD=${BUILD:-build}
U=$top/$BUILD/uvfio T=$top/$BUILD/test log=$tmp/log
truncate -s 16M "$tmp/disk" "$tmp/disk.plain"
rm -f "$tmp/says"; mkfifo "$tmp/says"
"$U" serve --sandbox --log info --device igb,net=unix:"$tmp/a:$tmp/b" --socket "$tmp/igb.sock" \
	--device nvme,image="$tmp/disk" --socket "$tmp/nvme.sock" >"$tmp/says" 2>"$log" & pid=$!
exec 9<"$tmp/says"; read -r _ <&9; read -r _ <&9
same "it is confined" "2 1" \
	"$(awk '/^(Seccomp|NoNewPrivs):/ { print $2 }' /proc/$pid/status | sort -r | xargs)"
has "and says so" "sandbox: no files, programs and sockets from now on"

# driver MODEL NAME SPEC: the driver's lines on a device in its own process and on the served one
driver() {
	"$U" run --memlock unlimited --log none --device "$3" -- \
		"$T/$2" check 0000:01:00.0 >"$tmp/plain" 2>&1
	timeout 120 "$U" run --memlock unlimited --log none --device socket="$tmp/$1.sock" -- \
		"$T/$2" check 0000:01:00.0 >"$tmp/served" 2>&1
	check "$1: a driver sees the same as in its own process ($(wc -l <"$tmp/plain") lines)" \
		diff -u "$tmp/plain" "$tmp/served"
}
driver igb igb_driver igb
driver nvme nvme_driver nvme,image="$tmp/disk.plain"
kill -TERM "$pid"; wait "$pid"; same "SIGTERM: status 0" 0 $?
check "its sockets are gone" test ! -e "$tmp/igb.sock" -a ! -e "$tmp/nvme.sock"
check "nothing that a device wanted was refused" bash -c "! grep 'is refused' $log"

# the other models, and clients that are killed
timeout 60 "$T/soak" 2 "$U" --sandbox >"$tmp/soak" 2>"$log"
same "eight clients on eight devices" "1 passed, 0 failed" "$(tail -n 1 "$tmp/soak")"
check "nothing was refused there, either" bash -c "! grep 'is refused' $log"

# a server that is killed leaves no sockets behind, for once
rm -f "$tmp/says"; mkfifo "$tmp/says"
"$U" serve --sandbox --log none --device edu --socket "$tmp/edu.sock" >"$tmp/says" & pid=$!
exec 9<"$tmp/says"; read -r _ <&9
kill -KILL "$pid"; wait "$pid" 2>/dev/null
for ((i = 0; i < 100; i++)); do [[ -e $tmp/edu.sock ]] || break; sleep 0.05; done
check "its socket goes with it" test ! -e "$tmp/edu.sock"
err=$("$U" serve --sandbox=maybe --device edu 2>&1); rc=$?
same "--sandbox=maybe" "2 uvfio: serve: --sandbox=maybe: write --sandbox or --sandbox=strict" "$rc $err"
counts
