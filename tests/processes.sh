#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# processes.sh: several programs of one run, each with devices of its own, as on a machine: what one
# has open is busy for the others and nothing else is, whatever only one process can have of a
# device (an image, a socket); and a device that cannot be made is its own group's trouble.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
prog=$build/test/processes_client
# Programs a and b of one run: `a COMMAND` and `b COMMAND` say what it answered, `bye a` ends one; a
# script on standard input.
cat >"$tmp/two" <<'END'
coproc A { exec "$prog"; }
exec 5<&"${A[0]}" 6>&"${A[1]}"
coproc B { exec "$prog" 5<&- 6>&-; } 2>/dev/null
exec 7<&"${B[0]}" 8>&"${B[1]}"
eval "exec ${A[1]}>&- ${B[1]}>&-"
a() { echo "$*" >&6; read -r said <&5 || said=ended; echo -n "$said "; }
b() { echo "$*" >&8; read -r said <&7 || said=ended; echo -n "$said "; }
bye() { case $1 in a) exec 6>&-; read -r _ <&5;; b) exec 8>&-; read -r _ <&7;; esac; }
END
two() { # OPTIONS... then commands on standard input
	: >"$tmp/log"
	{ cat "$tmp/two"; cat; } >"$tmp/script"
	prog=$prog tmp=$tmp timeout 300 "$build/uvfio" run --log-file "$tmp/log" "$@" -- bash "$tmp/script" 2>"$tmp/err"
}
D1=0000:01:00.0 D2=0000:02:00.0 D3=0000:03:00.0
truncate -s 1M "$tmp/1.img" "$tmp/2.img"
disks=(--device "nvme,image=$tmp/1.img" --device "nvme,image=$tmp/2.img" --device edu)

same "two disks, a program for each" "ok ok " "$(two "${disks[@]}" <<<"a open 1 $D1; b open 2 $D2")"
same "in the other order, and a device without an image" "ok ok ok " "$(two "${disks[@]}" <<<"b open 2 $D2; a open 3 $D3; a open 1 $D1")"
same "what one has is busy for the other, until it closes it" "ok EBUSY ok ok EBUSY " \
	"$(two "${disks[@]}" <<<"a open 1 $D1; b open 1 $D1; a close 1; b open 1 $D1; a open 1 $D1")"
same "closed and opened again, by turns" "ok ok ok ok ok ok " \
	"$(two "${disks[@]}" <<<"a open 1 $D1; a close 1; a open 1 $D1; a close 1; b open 1 $D1; a open 2 $D2")"
same "the end of a program frees what it had" "ok ok ok " "$(two "${disks[@]}" <<<"a open 1 $D1; a open 2 $D2; bye a; b open 2 $D2")"
same "sysfs shows all of them to everybody" "ok ok ok ok ok " \
	"$(two "${disks[@]}" <<<"a open 1 $D1; a config $D1; a config $D2; b config $D1; b config $D3")"

same "an image that went away fails its own group" "EIO ok ok EIO ok " \
	"$(two "${disks[@]}" <<<"mv $tmp/1.img $tmp/x; a open 1 $D1; a open 2 $D2; a open 3 $D3; b open 1 $D1; mv $tmp/x $tmp/1.img; b open 1 $D1")"
has "and a line names it" "group 1 cannot be opened, EIO: .*1\.img"
same "one that another run has, too" "EIO ok " "$(two "${disks[@]}" <<END
coproc C { LD_PRELOAD= UVFIO_RUN_DIR= exec $build/uvfio run --log none --device nvme,image=$tmp/1.img -- $prog; }
echo "open 1 $D1" >&\${C[1]}; read -r said <&\${C[0]}
a open 1 $D1; a open 2 $D2
END
)"

cable=(--device "igb,id=p,net=peer:q" --device "igb,id=q" --device edu)
same "both ends of a cable go together" "ok EBUSY ok ok ok ok ok " \
	"$(two "${cable[@]}" <<<"a open 1 $D1; b open 2 $D2; b open 3 $D3; a open 2 $D2; a close 1; a close 2; b open 2 $D2")"
has "and a line says so" "warn.*group 2: another process has $D1 or a virtual function of it or the other end of its cable"
same "sockets: a port for each program" "ok ok " \
	"$(two --device "igb,net=unix:$tmp/s1:$tmp/s2" --device "igb,net=unix:$tmp/s2:$tmp/s1" <<<"a open 1 $D1; b open 2 $D2")"
same "VFs go with their PF, and another card does not matter" "ok EBUSY ok ok ok " \
	"$(two --device igb,driver=igb,sriov_numvfs=2 --device igb <<<"a open 3 0000:01:10.0; b open 4 0000:01:10.2; b open 2 $D2; a close 3; b open 4 0000:01:10.2")"

# ---- who may do what in the run directory ----
# each file of it that is not the view: nobody else may lock what a process of the run locks or waits for
modes() { # COMMAND in the run
	"$build/uvfio" run --log none "$@" -- sh -c 'cd "$UVFIO_RUN_DIR" && find claims sriov -type f -printf "%p %m\n" | sort' 2>/dev/null
}
same "what is locked can be opened by its owner alone" "claims/group-1 600|claims/group-2 600|claims/processes 600|claims/uevents 600|claims/view 600|sriov 644|" \
	"$(modes --device igb,sriov_numvfs=1 | tr '\n' '|')"
same "and so whatever the umask is" "claims/group-1 600|claims/group-2 600|claims/processes 600|claims/uevents 600|claims/view 600|sriov 644|" \
	"$(umask 000; modes --device igb,sriov_numvfs=1 | tr '\n' '|')"
same "a group's lock has the owner and mode of its node" "640 600 640 " \
	"$("$build/uvfio" run --log none --device edu --device edu -- sh -c 'chmod 640 /dev/vfio/1; stat -c %a "$UVFIO_RUN_DIR/claims/group-1" "$UVFIO_RUN_DIR/claims/group-2" /dev/vfio/1' | tr '\n' ' ')"

nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
if [[ $(id -u) -eq 0 ]] && $nobody test -x "$prog"; then
	export nobody prog tmp
	chmod 755 "$tmp"; mkdir -m 777 "$tmp/open"
	as_root() { TMPDIR=$tmp/open timeout 300 "$build/uvfio" run --log-file "$tmp/log" "$@" 2>"$tmp/err"; }
	locks='for f in "$UVFIO_RUN_DIR"/claims/*; do for how in -s -x; do $nobody flock $how -n "$f" true 2>/dev/null && echo "$f"; done; done'
	same "another user can lock nothing of root's run" "" "$(as_root --device edu --device igb,sriov_numvfs=1 -- sh -c "$prog </dev/null; $locks")"
	# a user's program that outlives the rest, over some execs: it has the directory, and the last thing of it is that it goes
	same "a program that became another user has what it needs, when its parent is gone" "0000:01:00.0 ok gone" \
		"$(as_root --device edu -- sh -c 'mkfifo -m 666 $tmp/fifo; $nobody sh -c '"'"'exec sh -c "exec sh -c \"cat $tmp/fifo; ls /sys/bus/pci/devices\""'"'"' >$tmp/open/later &'
		ls "$tmp/open"/uvfio-*/claims >/dev/null; kept=$?; : >"$tmp/fifo"
		for _ in $(seq 2000); do compgen -G "$tmp/open/uvfio-*" >/dev/null || break; sleep 0.05; done
		echo "$(cat "$tmp/open/later") $([[ $kept -eq 0 ]] && echo ok) $(compgen -G "$tmp/open/uvfio-*" >/dev/null || echo gone)")"
	user() { # COMMANDS, for a program that root gave some groups and that is nobody then
		as_root --device edu --device edu --device igb,driver=igb,sriov_numvfs=1 --device igb -- \
			sh -c 'chown 65534 /dev/vfio/1 /dev/vfio/4; exec $nobody $prog' <<<"${1//; /$'\n'}" | tr '\n' ' '
	}
	same "a group is a user's when root gives it to him, others are not" "ok EACCES EACCES ok ok " "$(user "open 1 $D1; open 2 $D2; open 5 0000:03:10.0; close 1; open 1 $D1")"
	same "with virtual functions in the run, too, and a port of his own" "ok ok " "$(user "open 1 $D1; open 4 0000:04:00.0")"
	same "what root has open is busy for him" "ok EBUSY ok ok " "$(as_root --device edu -- bash -c '
		chown 65534 /dev/vfio/1
		coproc R { exec $prog; }; echo "open 1 0000:01:00.0" >&${R[1]}; read -r said <&${R[0]}; echo -n "$said "
		coproc U { exec $nobody $prog; } 2>/dev/null
		for w in U R U; do
			declare -n at=$w; c="open 1 0000:01:00.0"; [[ $w == R ]] && c="close 1"
			echo "$c" >&${at[1]}; read -r said <&${at[0]}; echo -n "$said "
		done')"
	# somebody else's directory below the run directory, with a link where a directory was
	mkdir -p "$tmp/precious/power"; touch "$tmp/precious/power/control"
	as_root --device edu -- sh -c 'cd $UVFIO_RUN_DIR/sys/devices/pci0000:01/ && rm -rf 0000:01:00.0 && ln -s $tmp/precious 0000:01:00.0'
	same "the end of a run does not go where a link leads" "control" "$(ls "$tmp/precious/power")"
fi
counts
