#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ctl.sh: the control of a run, with programs that have its devices open.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
U=$build/uvfio prog=$build/test/ctl_client
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
# Wait until no run is there: a client that ends behind its shell keeps one for a moment.
settle() { for _ in $(seq 500); do compgen -G "$tmp/uvfio-*" >/dev/null || break; sleep 0.02; done; }

# ---- who is asked ----
same "the devices, before anybody opens one" "edu closed - igb vfio-pci 0000:02:10.0 closed" \
	"$(in_run --device edu --device igb,sriov_numvfs=1 <<<'l=$(ctl list); echo $(field 0000:01:00.0 2 <<<"$l") $(field 0000:01:00.0 5 <<<"$l") $(field 0000:01:00.0 8 <<<"$l") $(field 0000:02:00.0 2 <<<"$l") $(field 0000:02:10.0 4 <<<"$l") $(field 0000:02:10.0 1 <<<"$l") $(field 0000:02:10.0 5 <<<"$l")')"
same "and who has one open, by which way" "ok D0 ctl_client by group ok closed" \
	"$(in_run --device edu <<<"a open 1 $D1; l=\$(ctl list); echo -n \"\$(field $D1 5 <<<\"\$l\") \$(field $D1 8 <<<\"\$l\") by \$(field $D1 11 <<<\"\$l\") \"; a leave; echo \$(ctl list | field $D1 5)")"
same "a process that became another has it no more" "ok ok closed" \
	"$(in_run --device edu <<<"a open 1 $D1; exec 6>&-; read -r _ <&5; echo ok \$(ctl list | field $D1 5)")"
same "a line of JSON" '{"ok":true,"run":' "$(in_run --device edu <<<'ctl --json list | cut -c1-17')"
settle
same "no run" "2 no run of yours" "$("$U" ctl list 2>&1 >/dev/null | sed "s/.*ctl: //;s/ is there.*//" | xargs echo 2)"
same "two of them are listed, each is found by its name and by a process" "2 2 1 1 1" "$(
	"$U" run --device edu -- sleep 60 & one=$!
	"$U" run --device edu -- sleep 60 & two=$!
	for _ in $(seq 500); do
		"$U" ctl list >/dev/null 2>"$tmp/several"; rc=$?
		[[ $(grep -c 'pid [0-9]*, sleep' "$tmp/several") -eq 2 ]] && break; sleep 0.02
	done
	name=$(compgen -G "$tmp/uvfio-*" | head -1); name=${name##*/}
	echo "$rc $(grep -c 'pid [0-9]*, sleep' "$tmp/several") $("$U" ctl --run "$name" list | grep -c edu) $(UVFIO_RUN=$one "$U" ctl list | grep -c edu) $("$U" ctl --run "$tmp/$name" list | grep -c edu)"
	kill $one $two; wait)"
same "who outlives uvfio is asked by the process that waits for it" "ok D0" "$(
	mkfifo "$tmp/in" "$tmp/out"
	in_run --device edu <<<"(exec \$prog <\$tmp/in >\$tmp/out 5<&- 6>&-) & disown" >/dev/null 3>&- & wait $!
	exec 7>"$tmp/in" 8<"$tmp/out"; echo "open 1 $D1" >&7; read -r said <&8
	echo "$said $("$U" ctl list 7>&- 8<&- | awk '/edu/ { print $5 }')")"
settle
same "and its directory goes with it" "" "$(compgen -G "$tmp/uvfio-*")"
# ---- a device is taken away ----
same "its user is asked, nobody opens it any more, and it goes when it is closed" \
	"ok ok 1 ENODEV 3 010000ed 010000ed ok 0000:01:00.0 is gone ENODEV ENODEV ok ENOENT vfio 2 " "$(in_run --device edu --device edu <<END
a open 1 $D1; a irq 4
ctl unplug $D1 >$tmp/gone 2>$tmp/progress 5<&- 6>&- & u=\$!
a hear 4; a again $D1; a status; a read 0; a close
wait \$u; echo -n "\$(cat $tmp/gone) "
a again $D1; a status; a leave; a open 1 $D1
echo -n "\$(ls -r /dev/vfio | grep -v devices | tr '\n' ' ')"
END
)"
has "and who asks is told what is waited for" "$D1: ctl_client \([0-9]*\) has it open" "$tmp/progress"
same "a time to wait: it goes all the same" "ok ok 1 1 leaving ok ok gone" "$(in_run --device edu <<END
a open 1 $D1; a irq 4; ctl unplug $D1 --timeout 0 2>$tmp/err2; echo -n "\$? "; a hear 4
echo -n "\$(ctl list | field $D1 5) "; a close; a leave
for _ in \$(seq 500); do ctl list | grep -q edu || { echo gone; break; }; sleep 0.02; done
END
)"
has "of which the client is told" "is still open; nobody else can open it" "$tmp/err2"
same "pulled out: it reads as ones, mapped or not, and nothing is a signal" \
	"ok ok 010000ed 010000ed 1 ffffffff ffffffff ok 11e81234 ffffffff ENOTTY ok 0000:01:00.0 is gone" "$(in_run --device edu <<END
a open 1 $D1; a irq 4; a read 0
ctl unplug --surprise $D1 >$tmp/gone 2>/dev/null 5<&- 6>&- & u=\$!
a hear 4; a read 0; a write 4 5; a config 0; a config 8; a reset; a close; wait \$u; cat $tmp/gone
END
)"
same "its user ends without a word" "ok 0000:01:00.0 is gone" "$(in_run --device edu <<END
a open 1 $D1; ctl unplug $D1 >$tmp/gone 2>/dev/null 5<&- 6>&- & u=\$!
until ctl list | grep -q leaving; do sleep 0.02; done
exec 6>&-; wait \$u; cat $tmp/gone
END
)"
same "it is a process's that forked, as long as that has it open, and no child's" "ok ok 1 ENOENT" "$(in_run --device edu <<END
a open 1 $D1; a fork; ctl unplug $D1 --timeout 0 2>/dev/null; echo -n "\$? "; a leave >/dev/null
exec 6>&-; while ctl list | grep -q edu; do sleep 0.02; done; ls /dev/vfio/1 2>/dev/null || echo ENOENT
END
)"
same "a port goes with its virtual functions, whose user is asked" "ok ok 1 ok 0000:01:00.0 is gone " "$(in_run --device igb,driver=igb,sriov_numvfs=2 <<END
a open 2 0000:01:10.0; a irq 4
ctl unplug $D1 >$tmp/gone 2>/dev/null 5<&- 6>&- & u=\$!
a hear 4; a leave; wait \$u; echo "\$(cat $tmp/gone) \$(ls /sys/bus/pci/devices)"
END
)"
# ---- a device comes ----
same "a device comes while programs run, as one that was there" "ok 0000:02:00.0, IOMMU group 2 ok ok 010000ed 010000ed vfio-pci 1 0000:02:00.0 is gone 0000:02:00.0, IOMMU group 2 ok " "$(in_run --device edu <<END
a open 1 $D1; echo -n "\$(ctl plug edu) "; a leave; a open 2 0000:02:00.0; a read 0
echo -n "\$(basename \$(readlink /sys/bus/pci/devices/0000:02:00.0/driver)) \$(lspci | grep -c ^02:00.0) "; a leave >/dev/null
echo -n "\$(ctl unplug 02:00.0) \$(ctl plug edu) "; a open 2 0000:02:00.0
END
)"
same "and who listens hears of it, as the kernel tells it" "ok add 0000:02:00.0 - bind 0000:02:00.0 vfio-pci unbind 0000:02:00.0 - remove 0000:02:00.0 - add 0000:03:10.0 - bind 0000:03:10.0 vfio-pci " \
	"$(in_run --device edu --device igb,addr=03:00.0 <<END
a listen; ctl plug edu >/dev/null; a event; a event; ctl unplug 02:00.0 >/dev/null; a event; a event; ctl sriov 03:00.0 1; a event; a event
END
)"
same "by sysfs, too" "ok unbind $D1 - bind $D1 vfio-pci unbind $D1 - remove $D1 - add $D1 - bind $D1 vfio-pci " "$(in_run --device edu <<END
a listen; s=/sys/bus/pci
echo $D1 >\$s/drivers/vfio-pci/unbind; a event; echo $D1 >\$s/drivers/vfio-pci/bind; a event
echo 1 >\$s/devices/$D1/remove; a event; a event; echo 1 >\$s/rescan; a event; echo vfio-pci >\$s/devices/$D1/driver_override; echo $D1 >\$s/drivers_probe; a event
END
)"
same "a file in it is found from where ctl is" "0000:01:00.0, IOMMU group 1" "$(truncate -s 1M "$tmp/later.img"; in_run <<END
cd $tmp; ctl plug nvme,image=later.img
END
)"
same "and what cannot be is told" "edu: there is no option 'x'" "$(in_run --device edu <<<'ctl plug edu,x=1 2>&1' | sed 's/.*ctl: //;s/: the .*//' | head -1 | cut -c1-27)"
# ---- buses that devices share ----
same "a bridge comes with its device, and programs hear of both" "ok 0000:02:00.0, IOMMU group 2 add 0000:00:01.0 - add 0000:02:00.0 - bind 0000:00:01.0 pcieport bind 0000:02:00.0 vfio-pci ok 010000ed 010000ed 1 3 02 e0100000 " \
	"$(in_run --device edu <<END
a listen; echo -n "\$(ctl plug edu,bus=x) "; a event; a event; a event; a event; a open 2 0000:02:00.0; a read 0; a together
p=/sys/bus/pci/devices/0000:00:01.0; basename \$(readlink \$p/iommu_group) | tr '\n' ' '; od -An -tx1 -j25 -N1 \$p/config | tr -d ' \n'; sed -n 's/^0x00000000\(e[0-9a-f]*\) .*/ \1 /p' \$p/resource | tr -d '\n'
END
)"
same "who has one of a bus open sees the next: of its group, reset with it, in the windows" "ok 1 0000:01:00.1, IOMMU group 1 2 ok ok 010000ed 010000ed ok e00fffff e01fffff" "$(in_run --device edu,bus=x <<END
end() { sed -n 's/^0x00000000e0000000 0x00000000\(e[0-9a-f]*\) .*/\1/p' /sys/bus/pci/devices/0000:00:01.0/resource; }
was=\$(end); a open 1 $D1; a together; echo -n "\$(ctl plug edu,bus=x) "; a together; a leave; a open 1 0000:01:00.1; a read 0; a leave; echo "\$was \$(end)"
END
)"
same "one that sends nothing to its neighbours has a group for itself" "0000:01:00.1, IOMMU group 3 0000:01:00.2, IOMMU group 4 0000:01:00.3, IOMMU group 4" \
	"$(in_run --device igb,bus=x <<<'echo $(ctl plug igb,bus=x; ctl plug edu,bus=x; ctl plug edu,bus=x)')"
same "a bus keeps its name and its bridge when its devices went" "0000:01:00.0 is gone 0000:01:00.0, IOMMU group 1 1 edu: bus=pci:x: x is a bus of the kind port" \
	"$(in_run --device edu,bus=x <<<'echo $(ctl unplug 01:00.0; ctl plug edu,bus=x; lspci | grep -c "^00:.*bridge"; ctl plug edu,bus=pci:x 2>&1 | sed "s/.*ctl: //;s/: already//")')"
same "one whose bridge was removed takes nobody until that is back, and keeps its numbers" "edu: bus=x: its bridge was removed 0000:03:00.0, IOMMU group 3 0 0000:01:00.1, IOMMU group 1" "$(in_run --device edu,bus=x --device edu,bus=y <<'END'
echo 1 >/sys/bus/pci/devices/0000:00:01.0/remove
echo $(ctl plug edu,bus=x 2>&1 | sed 's/.*ctl: //; s/: a write.*//'; ctl plug edu; echo 1 >/sys/bus/pci/rescan; echo $?; ctl plug edu,bus=x)
END
)"
same "a switch has a port for each, and others keep off its numbers" "0000:04:00.0, IOMMU group 5 0000:0c:00.0, IOMMU group 7 0000:0d:00.0, IOMMU group 9 0000:0e:00.0, IOMMU group 11" \
	"$(in_run --device edu,bus=switch:s <<<'echo $(ctl plug edu,bus=switch:s; ctl plug edu,bus=pci:p; ctl plug edu,bus=q; ctl plug edu)')"
same "on the root bus there is no bridge, and without an IOMMU no group" "0000:00:10.0, IOMMU group 2 0 0000:02:00.0, IOMMU group 2 1 noiommu-1 noiommu-2 2" \
	"$(in_run --device edu <<<'echo -n "$(echo $(ctl plug edu,bus=root; lspci | grep -c bridge)) "'; in_run --noiommu all --device edu <<<'echo $(ctl plug edu,bus=x; lspci | grep -c bridge; cd /dev/vfio; ls -d noiommu*; ls /sys/kernel/iommu_groups 2>/dev/null | wc -l)')"
# ---- errors, cables, virtual functions ----
same "an error that is not correctable is heard" "ok ok 1 1 0 uncorrectable" "$(in_run --device testdev <<END
a open 1 $D1; a irq 3; ctl aer $D1 nonfatal; a hear 3; ctl aer $D1 fatal; a hear 3; ctl aer $D1 correctable; a silent 3
ctl list | field $D1 7
END
)" 
# testdev's AER is at 100: what could not be corrected, what was; behind Device Control at 8c is Device Status
same "AER and the device status show it, and the user clears it" \
	"ok 00000000 00000001 1 00001000 00000001 3 00001010 00000001 7 ok ok ok 00000000 00000000 0 " "$(in_run --device testdev <<END
regs() { a config 104; a config 110; x=\$(a config 8c); echo -n "\${x:3:1} "; }
a open 1 $D1; for s in correctable nonfatal fatal; do ctl aer $D1 \$s; regs; done
a set 104 ffffffff; a set 110 ffffffff; a set 8c 000f0000; regs
END
)"
same "one that is masked cannot be reported, nor one of a device that is not open" "ok ok 1 0 ok 1" "$(in_run --device testdev <<END
a open 1 $D1; a set 108 ffffffff; ctl aer $D1 nonfatal 2>$tmp/masked; echo -n "\$? "; ctl aer $D1 correctable; echo -n "\$? "; a leave; ctl aer $D1 fatal 2>$tmp/closed; echo \$?
END
)"
has "which is told" "$D1: all errors of this severity are masked, or have another one" "$tmp/masked"
has "each" "$D1: no process has it open, to hear of an error" "$tmp/closed"
same "a cable is pulled out, and is out for who opens the port next" "1 1 0 in out 1" "$(in_run --device igb,net=peer:b --device igb,id=b --device edu <<END
ctl aer $D1 fatal 2>/dev/null; echo -n "\$? "; ctl link 03:00.0 down 2>/dev/null; echo -n "\$? "; ctl link $D1 down; echo -n "\$? "
ctl link $D1 up; echo -n "\$(ctl list | field $D1 6) "; ctl link 0000:01:00.0 down; echo -n "\$(ctl list | field $D1 6) "; ctl list | grep -c ' out '
END
)"
same "the link is as its driver sees it, if there is a cable at all" "in none - - ok down in none " "$(in_run --device igb,net=peer:b --device igb,id=b --device igb,sriov_numvfs=1,net=pcap:"$tmp/pcap" --device edu <<END
l() { field 0000:\$1 6 <<<"\$list" | tr '\n' ' '; }
list=\$(ctl list); l 02:00.0; l 03:00.0; l 03:10.0; l 04:00.0
a open 1 $D1; list=\$(ctl list); l 01:00.0; l 02:00.0; l 03:00.0
END
)"
same "and in JSON" '"cable":"out" "link":null "bus_master":null ok "cable":"in" "link":"down" "bus_master":false ' "$(in_run --device igb,net=peer:b --device igb,id=b <<END
of_first() { ctl --json list | sed 's/"address":"0000:02.*//' | grep -oE '"(cable|link|bus_master)":[^,}]*' | tr '\n' ' '; }
ctl link $D1 down; of_first; ctl link $D1 up; a open 1 $D1; of_first
END
)"
same "virtual functions come and go as by sysfs" "2 1 ok 1 ok 0" "$(in_run --device igb,driver=igb <<END
n() { compgen -G "/sys/bus/pci/devices/0000:01:1*" | wc -l; }
ctl sriov $D1 2; echo -n "\$(n) "; ctl sriov $D1 3 2>/dev/null; echo -n "\$? "
a open 2 0000:01:10.0; ctl sriov $D1 0 2>/dev/null; echo -n "\$? "; a leave; ctl sriov 01:00.0 0; n
END
)"
settle
counts
