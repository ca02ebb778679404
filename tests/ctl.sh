#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ctl.sh: the control of a run, with programs that have its devices open.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
U=$build/uvfio prog=$build/test/processes_client
export U prog tmp TMPDIR=$tmp
D1=0000:01:00.0
# A run in which bash reads commands from standard input: `a COMMAND` is one of a client's, whose answer is printed; `ctl ...` asks the run.
cat >"$tmp/head" <<'END'
coproc A { exec "$prog"; } 2>/dev/null
exec 5<&"${A[0]}" 6>&"${A[1]}"
eval "exec ${A[1]}>&-"
a() { echo "$*" >&6; read -r said <&5 || said=ended; echo -n "$said "; }
ctl() { "$U" ctl "$@" 5<&- 6>&-; }
field() { awk -v a="$1" -v n="$2" '$1 == a { print $n }'; }
END
in_run() { # OPTIONS... then commands on standard input
	: >"$tmp/log"
	{ cat "$tmp/head"; cat; } >"$tmp/script"
	timeout 300 "$U" run --log-file "$tmp/log" "$@" -- bash "$tmp/script" 2>"$tmp/err"
}

# ---- who is asked ----
same "the devices, before anybody opens one" "edu closed - igb vfio-pci 0000:02:10.0 closed" \
	"$(in_run --device edu --device igb,sriov_numvfs=1 <<<'l=$(ctl list); echo $(field 0000:01:00.0 2 <<<"$l") $(field 0000:01:00.0 5 <<<"$l") $(field 0000:01:00.0 8 <<<"$l") $(field 0000:02:00.0 2 <<<"$l") $(field 0000:02:10.0 4 <<<"$l") $(field 0000:02:10.0 1 <<<"$l") $(field 0000:02:10.0 5 <<<"$l")')"
same "and who has one open, by which way" "ok D0 processes_clien by group ok closed" \
	"$(in_run --device edu <<<"a open 1 $D1; l=\$(ctl list); echo -n \"\$(field $D1 5 <<<\"\$l\") \$(field $D1 8 <<<\"\$l\") by \$(field $D1 11 <<<\"\$l\") \"; a close 1; echo \$(ctl list | field $D1 5)")"
same "a process that became another has it no more" "ok ok closed" \
	"$(in_run --device edu <<<"a open 1 $D1; exec 6>&-; read -r _ <&5; echo ok \$(ctl list | field $D1 5)")"
same "a line of JSON" '{"ok":true,"run":' "$(in_run --device edu <<<'ctl --json list | cut -c1-17')"
same "no run" "2 no run of yours" "$("$U" ctl list 2>&1 >/dev/null | sed "s/.*ctl: //;s/ is there.*//" | xargs echo 2)"
same "two of them are listed, each is found by its name and by a process" "2 2 1 1 1" "$(
	"$U" run --device edu -- sleep 60 & one=$!
	"$U" run --device edu -- sleep 60 & two=$!
	for _ in $(seq 500); do [[ $(compgen -G "$tmp/uvfio-*/ctl" | wc -l) -eq 2 ]] && break; sleep 0.02; done
	"$U" ctl list >/dev/null 2>"$tmp/several"; rc=$?
	name=$(compgen -G "$tmp/uvfio-*" | head -1); name=${name##*/}
	echo "$rc $(grep -c 'pid [0-9]*, sleep' "$tmp/several") $("$U" ctl --run "$name" list | grep -c edu) $(UVFIO_RUN=$one "$U" ctl list | grep -c edu) $("$U" ctl --run "$tmp/$name" list | grep -c edu)"
	kill $one $two; wait)"
same "who outlives uvfio is asked by the process that waits for it" "ok D0" "$(
	mkfifo "$tmp/in" "$tmp/out"
	in_run --device edu <<<"(exec \$prog <\$tmp/in >\$tmp/out 5<&- 6>&-) & disown" >/dev/null 3>&- & wait $!
	exec 7>"$tmp/in" 8<"$tmp/out"; echo "open 1 $D1" >&7; read -r said <&8
	echo "$said $("$U" ctl list 7>&- 8<&- | awk '/edu/ { print $5 }')")"
for _ in $(seq 500); do compgen -G "$tmp/uvfio-*" >/dev/null || break; sleep 0.02; done
same "and its directory goes with it" "" "$(compgen -G "$tmp/uvfio-*")"
counts
