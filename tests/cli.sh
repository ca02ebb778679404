#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# cli.sh: what the uvfio command says and how it exits: wrong arguments, programs that the shim
# cannot be loaded into, plug-ins, signals and job control, the run directory.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top"
BUILD=${BUILD:-build} CC=${CC:-cc}
U=$top/$BUILD/uvfio
is() { same "$1" "$3" "$2"; } # WHAT GOT WANTED
export TMPDIR=$tmp/runs; mkdir "$TMPDIR"

# says STATUS TEXT ARGUMENT...: uvfio with these exits with STATUS and its stderr has TEXT in one
# line that begins with "uvfio: "
says() {
	local want=$1 text=$2 rc err; shift 2
	err=$("$U" "$@" 2>&1 >"$tmp/out"); rc=$?
	if [[ $rc -ne $want ]]; then no "uvfio $*" "status $rc, not $want" "$err"
	elif [[ $err != *"$text"* ]]; then no "uvfio $*" "no '$text' in: $err"
	elif [[ $rc -eq 2 && ( $err != "uvfio: "* || $(wc -l <<<"$err") -ne 1 ) ]]; then no "uvfio $*" "not one line of uvfio's: $err"
	else ok "uvfio $* -> $rc, \"$text\""; fi
}
# the same with exit 2, and the program that is asked for leaves no trace
refuses() {
	local text=$1; shift
	rm -f "$tmp/trace"
	says 2 "$text" "$@"
	[[ ! -e $tmp/trace ]] || no "uvfio $*" "the program was started"
}

echo "# commands"
"$U" >"$tmp/out" 2>"$tmp/err"; is "uvfio alone: the usage, status 2" "$? $(head -c 6 "$tmp/err")" "2 usage:"
is "uvfio help: the usage, status 0" "$("$U" help | head -c 6) $?" "usage: 0"
is "uvfio --help" "$("$U" --help | head -c 6)" "usage:"
is "uvfio version" "$("$U" version)" "$("$U" --version)"
for c in run serve ctl models dump conform help version; do
	is "uvfio $c --help" "$("$U" "$c" --help | head -1 | cut -c1-$((13 + ${#c})))" "usage: uvfio $c"
	is "uvfio help $c" "$("$U" help "$c")" "$("$U" "$c" --help)"
done
refuses "did you mean 'uvfio run'" rum
refuses "there is no command 'frobnicate'" frobnicate
refuses "there is no command 'frobnicate'" help frobnicate
refuses "one argument too many" version 1
refuses "one argument too many" models edu nvme
"$U" models >/dev/full 2>"$tmp/err"; is "a write error is an error" "$?" 1
"$U" help >/dev/full 2>"$tmp/err"; is "of help, too" "$?" 1

echo "# options"
T=(touch "$tmp/trace")
refuses "no program to run" run
refuses "no program to run" run --device edu --
refuses "did you mean --device" run --devise edu -- "${T[@]}"
refuses "did you mean --log-file" run --logfile x -- "${T[@]}"
refuses "there is no option --frobnicate" run --frobnicate -- "${T[@]}"
refuses "there is no option -x" run -x "${T[@]}"
refuses "--device needs a value" run --device
refuses "--log loud" run --log loud "${T[@]}"
refuses "--kernel 5.4" run --kernel 5.4 "${T[@]}"
refuses "there is no interface v4: there are vfio and v3" run --abi v4 "${T[@]}"
refuses "v3 has no option x: there are allow_unsafe_intrs=" run --abi v3,x=1 "${T[@]}"
refuses "intr_remap is off or on" run --abi v3,intr_remap=0 "${T[@]}"
refuses "vfio has no options" run --abi vfio,intr_remap=on "${T[@]}"
refuses "before the first --device" run --device edu --abi v3 "${T[@]}"
refuses "one kernel and an IOMMU" run --abi v3 --kernel 6.1 --device edu "${T[@]}"
refuses "one kernel and an IOMMU" run --noiommu all --abi v3 --device edu "${T[@]}"
refuses "has no migration" run --abi v3 --device testdev,migration=on "${T[@]}"
refuses "--iommu dirty-tracking" run --iommu dirty-tracking "${T[@]}"
refuses "'x' is no kind of mistakes" run --check=dma,x "${T[@]}"
refuses "write a number from 1 to 255" run --error-exitcode 0 "${T[@]}"
refuses "write a number from 1 to 255" run --error-exitcode 9x "${T[@]}"
refuses "--check-fatal takes no value" run --check-fatal=1 "${T[@]}"
refuses "--memlock much" run --memlock much "${T[@]}"
refuses "--memlock -1" run --memlock=-1 "${T[@]}"
refuses "--log-file /nonexistent/log: No such file" run --log-file /nonexistent/log "${T[@]}"
refuses "--names takes no value" models --names=x

refuses "--iommu dirty-tracking=yes: write dirty-tracking=on or" run --iommu dirty-tracking=yes "${T[@]}"
refuses "--noiommu nobody: write rawio or all" run --noiommu nobody "${T[@]}"
refuses "--noiommu: write it before the first --device" run --device edu --noiommu all "${T[@]}"
refuses "--kernel needs a value: --kernel VERSION" run --kernel

echo "# devices"
refuses "fffe:ff:1f.7" run --device host=fffe:ff:1f.7 -- "${T[@]}"
refuses "no PCI address" run --device host=nothing -- "${T[@]}"
refuses "a real device has no bus=: it has a place" run --device host=01:00.0,bus=a -- "${T[@]}"
refuses "a real device has no image=" run --device host=01:00.0,image=x -- "${T[@]}"
refuses "in a run without one (--noiommu)" run --noiommu all --device host=01:00.0 -- "${T[@]}"
refuses "has no real devices" run --abi v3 --device host=01:00.0 -- "${T[@]}"
refuses "is its server running?" run --device socket=/nowhere/x.sock -- "${T[@]}"
refuses "in a run without an IOMMU (--noiommu)" run --noiommu all --device socket=x.sock -- "${T[@]}"
refuses "has no devices behind a socket" run --abi v3 --device socket=x.sock -- "${T[@]}"
refuses "a device behind a socket has no image=" run --device socket=x.sock,image=x -- "${T[@]}"
refuses "write seconds, 1 to 3600" run --device socket=x.sock,timeout=0 -- "${T[@]}"
refuses "there is no model 'nothing'" run --device nothing -- "${T[@]}"
refuses "did you mean 'nvme'" run --device nmve,image=x -- "${T[@]}"
refuses "did you mean 'edu'" models edi
refuses "'image'" run --device nvme -- "${T[@]}"
refuses "$tmp/no.img" run --device nvme,image="$tmp/no.img" -- "${T[@]}"
refuses "imagee" run --device nvme,imagee=x -- "${T[@]}"
refuses "is not option=value" run --device edu,x -- "${T[@]}"
refuses "addr=7" run --device edu,addr=7 -- "${T[@]}"
refuses "taken" run --device edu --device edu,addr=01:00.0 -- "${T[@]}"
refuses "group=x" run --device edu,group=x -- "${T[@]}"
refuses "does not begin with a model" run --device "" -- "${T[@]}"
refuses "no device to show" dump
refuses "nothing to test" conform
refuses "no test is called 'x-*'" conform --server "$tmp/s" --only 'x-*'
refuses "one side at a time" conform --server "$tmp/s" --client
refuses "--socket is where --client listens" conform --socket "$tmp/s" --server "$tmp/s"
refuses "--client needs a command" conform --client
refuses "--silent x" conform --client --silent x
refuses "--timeout 0" conform --server "$tmp/s" --timeout 0
refuses "--once needs a command" conform --server "$tmp/s" --once
refuses "a socket's path has at most 107 bytes" conform --server "$(printf '%0200d' 1)"
mkdir "$tmp/unreadable"; refuses "unreadable" run --device nvme,image="$tmp/unreadable" -- "${T[@]}"

echo "# programs"
refuses "no program 'no-such-program' in PATH" run -- no-such-program
refuses "./no-such-program: No such file" run -- ./no-such-program
refuses "is a directory" run -- /tmp
refuses "is empty" run -- ""
echo hello >"$tmp/text"; refuses "text: is not executable" run -- "$tmp/text"
chmod +x "$tmp/text"; refuses "neither a program" run -- "$tmp/text"
mkdir "$tmp/bin"; echo x >"$tmp/bin/plain"; PATH=$tmp/bin:$PATH refuses "plain: is not executable" run -- plain
cat >"$tmp/p.c" <<'C'
#include <stdio.h>
int main(void) { puts("started"); return 3; }
C
$CC -static -o "$tmp/static" "$tmp/p.c" && refuses "is a static program" run -- "$tmp/static"
printf '%s\n' '.section .note.go.buildid, "a", @note' '.long 4, 4, 4' '.asciz "Go\0"' '.asciz "one"' '.text' '.weak _start' '_start: mov $60, %eax' 'xor %edi, %edi' 'syscall' '.section .note.GNU-stack, "", @progbits' >"$tmp/go.s"
$CC -nostdlib -pie -Wl,--dynamic-linker=/lib64/ld-linux-x86-64.so.2 -o "$tmp/go" "$tmp/go.s" && refuses "is a program in Go without libc" run -- "$tmp/go"
says 0 "is a program in Go without libc" run -- sh -c "$tmp/go; true"
$CC -o "$tmp/oldgo" "$tmp/p.c" "$tmp/go.s"; says 3 "a program in Go whose system calls cannot be found" run -- "$tmp/oldgo"
$CC -static-pie -o "$tmp/static-pie" "$tmp/p.c" 2>/dev/null && refuses "is a static program" run -- "$tmp/static-pie"
$CC -o "$tmp/dynamic" "$tmp/p.c" && says 3 "" run -- "$tmp/dynamic"
head -c 3000 "$tmp/dynamic" >"$tmp/cut"; head -c 40 "$tmp/dynamic" >"$tmp/short"; chmod +x "$tmp/cut" "$tmp/short"
refuses "not a whole ELF" run -- "$tmp/short"
$CC -c -o "$tmp/object" "$tmp/p.c" && chmod +x "$tmp/object" && refuses "not a program" run -- "$tmp/object"
# another machine's: e_machine (offset 18) of aarch64 is 183; a 32-bit class at offset 4
cp "$tmp/dynamic" "$tmp/arm"; printf '\267' | dd of="$tmp/arm" bs=1 seek=18 conv=notrunc status=none
refuses "is a program for 64-bit ARM" run -- "$tmp/arm"
$CC -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 -o "$tmp/musl" "$tmp/p.c" && refuses "linked with musl" run -- "$tmp/musl"
$CC -Wl,--dynamic-linker=/lib/no-ld.so -o "$tmp/nold" "$tmp/p.c" && refuses "/lib/no-ld.so" run -- "$tmp/nold"
if [[ $(id -u) -eq 0 ]]; then
	cp "$tmp/dynamic" "$tmp/suid"; chown 1 "$tmp/suid"; chmod u+s "$tmp/suid"
	refuses "set-user-ID" run -- "$tmp/suid"
	cp "$tmp/dynamic" "$tmp/sgid"; chgrp 1 "$tmp/sgid"; chmod g+s "$tmp/sgid"
	refuses "set-group-ID" run -- "$tmp/sgid"
	# root is given nothing by file capabilities; anybody else is
	if cp "$tmp/dynamic" "$tmp/caps" && setcap cap_net_raw+ep "$tmp/caps" 2>/dev/null; then
		says 3 "" run -- "$tmp/caps"
		chmod 755 "$tmp"
		err=$(setpriv --reuid 65534 --regid 65534 --clear-groups env TMPDIR=/tmp "$U" run -- "$tmp/caps" 2>&1); rc=$?
		case $rc$err in 2*"file capabilities"*) ok "file capabilities" ;; *"Permission denied"*) echo "# this folder is not for others" ;; *) no "file capabilities" "$rc $err" ;; esac
	fi
fi
printf '#!/bin/sh\nexit 5\n' >"$tmp/script"; chmod +x "$tmp/script"; says 5 "" run -- "$tmp/script"
printf '#! /usr/bin/env -S bash\nexit 6\n' >"$tmp/env"; chmod +x "$tmp/env"; says 6 "" run -- "$tmp/env"
printf '#!/no/interpreter\n' >"$tmp/badscript"; chmod +x "$tmp/badscript"; refuses "/no/interpreter" run -- "$tmp/badscript"
printf '#!%s\n' "$tmp/static" >"$tmp/staticscript"; chmod +x "$tmp/staticscript"; refuses "is a static program" run -- "$tmp/staticscript"
printf '#!/usr/bin/env no-such-interpreter\n' >"$tmp/envscript"; chmod +x "$tmp/envscript"; refuses "no-such-interpreter" run -- "$tmp/envscript"
printf '#!%s\n' "$tmp/loop" >"$tmp/loop"; chmod +x "$tmp/loop"; refuses "interpreters" run -- "$tmp/loop"
printf '#!\n' >"$tmp/noint"; chmod +x "$tmp/noint"; refuses "no interpreter" run -- "$tmp/noint"

echo "# running"
is "exit status" "$("$U" run -- sh -c 'exit 42'; echo $?)" 42
is "arguments, as they are" "$("$U" run -- printf '<%s>' --device 'a b' '' --)" "<--device><a b><><-->"
is "without --" "$("$U" run --device edu echo --device)" "--device"
is "standard input" "$(echo in | "$U" run -- cat)" in
is "the device is there" "$("$U" run --device edu -- cat /sys/bus/pci/devices/0000:01:00.0/device)" 0x11e8
is "three devices, two groups" "$("$U" run --device edu --device edu,group=1 --device=edu -- ls /dev/vfio | tr '\n' ' ')" "1 2 devices vfio "
mkdir "$tmp/dir" && truncate -s 1M "$tmp/dir/a,b.img"
is "links of the view resolve in it" "$("$U" run --device edu -- sh -c 'cd /sys/bus/pci/devices && realpath 0000:01:00.0/iommu/devices/* /sys/class/iommu/*/devices/* 0000:01:00.0/iommu_group/devices/*' | sort -u)" "/sys/devices/pci0000:01/0000:01:00.0"
is "a relative image stays where it is when the program moves" \
	"$(cd "$tmp" && "$U" run --device 'nvme,image=dir/a,,b.img' -- sh -c 'cd /; sed 1d "$UVFIO_RUN_DIR/devices" | cut -f2')" "nvme,image=$tmp/dir/a,,b.img"
is "a limit" "$("$U" run --memlock 64K -- sh -c 'echo $UVFIO_MEMLOCK')" 65536
is "an older kernel has no /dev/iommu" "$("$U" run --kernel 6.1 --device edu -- sh -c 'cd /dev; ls -d iommu vfio/* 2>/dev/null; ls /sys/class/vfio-dev; ls /sys/class/vfio-dev/vfio0/dev 2>/dev/null' | tr '\n' ' ')" "vfio/1 vfio/vfio vfio0 "
is "a child without an environment sees the same kernel" "$("$U" run --kernel 6.1 --device edu -- env -i ls -d /dev/iommu /dev/vfio/1 2>/dev/null)" "/dev/vfio/1"
is "what was preloaded stays" "$(LD_PRELOAD=libm.so.6 "$U" run -- sh -c 'echo ${LD_PRELOAD#*:}')" libm.so.6
is "uvfio in uvfio sees the inner devices" "$("$U" run --device edu -- "$U" run --device edu,addr=05:00.0 -- ls /sys/bus/pci/devices)" "0000:05:00.0"
says 0 "" run --log-file "$tmp/log" --log debug --device edu -- ls /sys/bus/pci/devices
is "nothing is left behind" "$(ls "$TMPDIR")" ""
err=$(TMPDIR=/nonexistent "$U" run -- true 2>&1); is "no place for the run directory" "$? ${err##*: }" "2 No such file or directory"
err=$(TMPDIR=relative "$U" run -- true 2>&1); is "a relative TMPDIR" "$? $(grep -c 'absolute path' <<<"$err")" "2 1"
# root's program may become another user, who sees sysfs as everybody does
is "who may look into the run directory" "$("$U" run -- sh -c 'stat -c %a "$UVFIO_RUN_DIR"')" "$([[ $(id -u) -eq 0 ]] && echo 755 || echo 700)"
"$U" run --device edu -- sh -c '(sleep 0.5; ls /sys/bus/pci/devices) >"$0" 2>&1 &' "$tmp/later"
for _ in $(seq 250); do [[ -s $tmp/later ]] && break; sleep 0.1; done
is "a child that looks when its parent is gone" "$(cat "$tmp/later")" 0000:01:00.0
cat >"$tmp/again" <<'END'
[ "$1" -gt 0 ] && exec sh "$0" $(($1 - 1))
ls -l /proc/self/fd
exec ls /sys/bus/pci/devices
END
"$U" run --device edu -- sh -c 'sh "$0" 60 >"$1" 2>&1 &' "$tmp/again" "$tmp/later2"
for _ in $(seq 500); do grep -qs '^0000:' "$tmp/later2" && break; sleep 0.1; done
is "a child that becomes another program again and again, when its parent is gone" "$(tail -n 1 "$tmp/later2")" 0000:01:00.0
is "and it has one descriptor for that" "$(grep -c claims/processes "$tmp/later2")" 1
for _ in $(seq 250); do [[ -z $(ls "$TMPDIR") ]] && break; sleep 0.1; done
is "nothing is left behind by it" "$(ls "$TMPDIR")" ""
if echo 'int main(void){return 3;}' | gcc -x c -fsanitize=address -o "$tmp/asan" - 2>/dev/null; then
	"$U" run --device edu -- "$tmp/asan" 2>/dev/null; is "a program with gcc's AddressSanitizer" $? 3
fi

echo "# plug-ins"
model() { # NAME EXTRA-FIELDS ABI
	cat >"$tmp/$1.c" <<C
#include <uvfio/model.h>
static int create(struct uvfio_dev *dev)
{
	const struct uvfio_ids ids = { .vendor = 0x1af4, .device = 0x7777, .class_code = 0xff0000 };
	return uvfio_set_ids(dev, &ids);
}
static const struct uvfio_option options[] = { { .name = "file", .type = UVFIO_OPT_PATH, .help = "a file" }, { 0 } };
const struct uvfio_model uvfio_model = { ${3:-UVFIO_MODEL_INIT}, $2 .options = options };
static void *use = create;
void *keep(void) { return use; }
C
	$CC -Iinclude -shared -fPIC -o "$tmp/$1.so" "$tmp/$1.c"
}
model plug '.name = "plug", .summary = "a test", .create = create,'
model other '.name = "plug", .create = create,' '.abi = 99'
model unsized '.name = "plug", .create = create,' '.abi = UVFIO_MODEL_ABI'
# laid out otherwise than the header has it: NAME DEFINITION
laid_out() {
	{ echo '#define uvfio_model header'; sed -n '1,/^static const struct uvfio_option/p' "$tmp/plug.c" | sed '1a #undef uvfio_model'; echo "$2"; } >"$tmp/$1.c"
	$CC -Iinclude -shared -fPIC -o "$tmp/$1.so" "$tmp/$1.c"
}
laid_out old 'const struct { uint32_t abi; const char *name, *summary; const struct uvfio_option *options; bool concurrent;
	int (*create)(struct uvfio_dev *dev); void *others[7]; } uvfio_model = { 1, "old", "a test", options, false, create, { 0 } };'
for more in 0 1; do
	laid_out "new$more" 'const struct { struct header model; long more[2]; } uvfio_model = { { .abi = UVFIO_MODEL_ABI, .size = sizeof(uvfio_model),
		.name = "new", .create = create, .options = options }, { 0, '$more' } };'
done
model empty '.name = "plug",'
echo 'int x;' >"$tmp/none.c"; $CC -shared -o "$tmp/none.so" "$tmp/none.c"
is "a plug-in" "$("$U" run --device "$tmp/plug.so" -- cat /sys/bus/pci/devices/0000:01:00.0/device)" 0x7777
is "in this directory, without ./" "$(cd "$tmp" && "$U" run --device plug.so,file=text -- sh -c 'sed 1d "$UVFIO_RUN_DIR/devices" | cut -f2')" "$tmp/plug.so,file=$tmp/text"
is "its options" "$("$U" models --names "$tmp/plug.so" | tr '\n' ' ')" "file= addr= bus= group= driver= sriov_numvfs= mmap= migration= process= id= "
refuses "version 99 of the model interface" run --device "$tmp/other.so" -- "${T[@]}"
refuses "start it with UVFIO_MODEL_INIT" run --device "$tmp/unsized.so" -- "${T[@]}"
is "a plug-in of the first ABI" "$("$U" run --device "$tmp/old.so" -- cat /sys/bus/pci/devices/0000:01:00.0/device)" 0x7777
is "and its options" "$("$U" models --names "$tmp/old.so" | head -n 1)" "file="
is "a newer plug-in that uses nothing new" "$("$U" run --device "$tmp/new0.so" -- cat /sys/bus/pci/devices/0000:01:00.0/device)" 0x7777
refuses "headers of a newer uvfio" run --device "$tmp/new1.so" -- "${T[@]}"
refuses "create is not set" run --device "$tmp/empty.so" -- "${T[@]}"
refuses "no symbol uvfio_model" run --device "$tmp/none.so" -- "${T[@]}"
refuses "cannot load this model" run --device "$tmp/text" -- "${T[@]}"
refuses "cannot load this model" run --device ./no-such.so -- "${T[@]}"

echo "# models and dump"
is "the help of run tells of real devices" "$("$U" help run | grep -c "host=ADDRESS")" 1
is "models" "$("$U" models --names | tr '\n' ' ')" "nvme edu testdev igb host= socket= "
is "every model is explained" "$("$U" models | grep -cE '^(edu|testdev|nvme|igb)$')" 4
is "one model" "$("$U" models edu | grep -c '^testdev')" 0
if command -v lspci >/dev/null; then
	is "a dump for lspci" "$("$U" dump --device edu --device testdev,addr=5:6.1 | lspci -F /dev/stdin -n | cut -d' ' -f1,3 | tr '\n' ' ')" \
		"01:00.0 1234:11e8 05:06.1 $("$U" dump --device testdev | lspci -F /dev/stdin -n | cut -d' ' -f3) "
fi

echo "# completion"
# completed LINE: what bash would put in the place of its last word, in order
completed() (
	source tools/completion/uvfio.bash
	compopt() { :; } # only works inside of a real completion
	COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=() COMPREPLY=()
	read -ra COMP_WORDS <<<"$(sed -E 's/([=:])/ \1 /g' <<<"$1")" # as bash cuts it
	[[ $1 == *[[:space:]] ]] && COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	cd "$tmp/dir" && _uvfio "$U"
	printf '%s ' "${COMPREPLY[@]}"
)
is "commands" "$(completed 'uvfio mo')" "models "
is "options" "$(completed 'uvfio run --lo')" "--log --log-file "
is "a kind of a model is explained" "$("$U" help proto-nvme-cid-in-use | head -n 1)" "proto-nvme-cid-in-use: A command has the identifier of one that is under way in its queue (NVMe 1.4, 4.2)."
is "a kind that there is not" "$("$U" help proto-nvme-no-such 2>&1 | grep -c "there is no kind 'proto-nvme-no-such'")" 1
is "kinds of models in a list" "$("$U" run --check=-proto-nvme,proto-nvme-nsid -- true 2>&1 | tail -n 1 | grep -c 'no mistakes')" 1
is "kinds of models that there are not" "$("$U" run --check=proto-nvme-nsids -- true 2>&1 | grep -c "is no kind of mistakes")" 1
is "kinds of mistakes" "$(completed 'uvfio run --check=dma-ri') $(completed 'uvfio run --check=dma-stale,dma-st') $(completed 'uvfio help dma-s')" "dma-rights  dma-stale,dma-stale  dma-stale "
is "levels" "$(completed 'uvfio run --log de')" "debug "
is "interfaces" "$(completed 'uvfio run --abi v3,i')" "v3,intr_remap=off "
is "models" "$(completed 'uvfio run --device ed')" "edu "
is "models after =" "$(completed 'uvfio run --device=ed')" "edu "
is "a model's options" "$(completed 'uvfio run --device nvme,im')" "nvme,image= "
is "a real device's options" "$(completed 'uvfio dump --device host=01:00.0,gr') $(completed 'uvfio dump --device host=01:00.0,dr')" "00.0,group=   "
is "every device's options" "$(completed 'uvfio dump --device edu,gr')" "edu,group= "
is "an option behind another" "$(completed 'uvfio run --device nvme,image=x,addr=1:0.0,bl')" "0.0,blocksize= "
touch "$tmp/dir/disk.img"
is "files" "$(completed 'uvfio run --device nvme,image=di')" "disk.img "
is "files with a space in the name" "$(touch "$tmp/dir/my disk.img"; completed 'uvfio run --device nvme,image=my')" "my disk.img "
is "what is on or off" "$(completed 'uvfio run --device nvme,readonly=')" "on off "
is "a choice of words" "$(completed 'uvfio run --device edu,mmap=') $(completed 'uvfio run --device edu,driver=p')" "auto trap off shared  pci-stub "
is "a word with something behind it" "$(completed 'uvfio run --device edu,bus=') $(completed 'uvfio run --device igb,net=p')" "pci: switch: root  peer: pcap: "
is "a number is the user's" "$(completed 'uvfio run --device edu,group=')" " "
is "which kernel" "$(completed 'uvfio run --kernel ') $(completed 'uvfio run --kernel=6.1')" "6.1 6.12 7.3  6.1 6.12 "
is "what the IOMMU has, and who goes without" "$(completed 'uvfio run --iommu d') $(completed 'uvfio run --noiommu ')" "dirty-tracking=on dirty-tracking=off  rawio all "
is "of a word that bash cuts, what is behind the cut" "$(completed 'uvfio run --iommu dirty-tracking=')" "on off "
is "and of one that it does not cut, all" "$(COMP_WORDBREAKS=$' \t\n='; completed 'uvfio run --device nvme,addr=1:0.0,im')" "1:0.0,image= "
is "the program without --" "$(completed 'uvfio run --kernel 7.3 --device=edu print' | grep -c 'printf ')" 1
is "requests of ctl" "$(completed 'uvfio ctl ')" "runs list show plug unplug aer fault link sriov release "
is "its options" "$(completed 'uvfio ctl -')" "--run --json --help "
is "of unplug" "$(completed 'uvfio ctl --json unplug --')" "--surprise --timeout "
is "a device to plug in" "$(completed 'uvfio ctl plug edu,mm')" "edu,mmap= "
is "how severe, and up or down" "$(completed 'uvfio ctl aer 01:00.0 ') $(completed 'uvfio ctl link 0000:01:00.0 d')" "correctable nonfatal fatal  down "
is "without a run no device" "$(completed 'uvfio ctl unplug ') $(completed 'uvfio ctl --run ')" "   "
mkfifo "$tmp/wait1" "$tmp/wait2"
"$U" run --device edu --device igb -- cat "$tmp/wait1" & one=$!
exec 7>"$tmp/wait1"
run_name() { "$U" ctl runs | awk -v pid="$1" '$2 == pid { print $1 }'; }
is "devices of the run" "$(completed 'uvfio ctl unplug 0000:0') $(completed 'uvfio ctl aer ') $(completed 'uvfio ctl sriov 02')" "01:00.0 02:00.0  0000:01:00.0 0000:02:00.0  02:00.0 "
is "of those with a cable" "$(completed 'uvfio ctl link ')" "0000:02:00.0 "
is "one device is enough" "$(completed 'uvfio ctl unplug --surprise 01:00.0 ')" " "
"$U" run --device testdev,addr=07:00.0 -- cat "$tmp/wait2" & two=$!
exec 8>"$tmp/wait2"
is "the runs, by name and process" "$(completed 'uvfio ctl --run ' | tr ' ' '\n' | sort | xargs)" "$({ run_name $one; run_name $two; echo $one; echo $two; } | sort | xargs)"
is "the devices of one of two" "$(completed "uvfio ctl --run $(run_name $two) unplug ") $(completed "uvfio ctl --run=$(run_name $two) --json aer ") $(UVFIO_RUN=$two completed 'uvfio ctl aer ')" "0000:07:00.0  0000:07:00.0  0000:07:00.0 "
is "of no run that is not there" "$(completed 'uvfio ctl --run nothing unplug ')" " "
exec 7>&- 8>&-; wait $one $two
is "the program" "$(completed 'uvfio run --device edu -- lspc' | grep -c lspci)" "$(type lspci >/dev/null 2>&1 && echo 1 || echo 0)"

echo "# ctl, from outside and inside of a run"
C() { says "$1" "$2" ctl "${@:3}"; }
C 2 "no run of yours is there" list
C 2 "no run of yours is there" --run nothing list
C 2 "no run is there" --run "$tmp/dir" list
C 2 "$tmp/no: No such file" --run "$tmp/no" list
C 2 "did you mean 'list'" lits
C 2 "did you mean --json" --jsno list
C 2 "--run needs a value" --run
C 2 "usage: uvfio ctl list" list more
C 2 "usage: uvfio ctl aer DEVICE correctable" aer 01:00.0
C 2 "unplug: --timeout needs a value" unplug 01:00.0 --timeout
C 2 "'x' is no number from 0 to 1000000" unplug 01:00.0 --timeout=x
C 2 "there is no option --surprize" unplug 01:00.0 --surprize
C 2 "'02:00.0' is one argument too many" unplug 01:00.0 02:00.0
C 2 "sriov: '-1' is no number from 0 to 65535" sriov 01:00.0 -1
C 2 "there is no model 'nothing'" plug nothing
is "ctl alone, and with --help behind a request: its help" "$("$U" ctl | md5sum) $("$U" ctl unplug --help | md5sum)" "$("$U" help ctl | md5sum) $("$U" help ctl | md5sum)"
is "no runs are no error" "$("$U" ctl runs; "$U" ctl --json runs)" $'RUN               PID  PROGRAM\n{"ok":true,"runs":[]}'
mkfifo "$tmp/wait3" "$tmp/wait4"
"$U" run --device edu --device igb -- cat "$tmp/wait3" & one=$!
exec 7>"$tmp/wait3"
C 1 "there is no device at 0000:09:00.0" unplug 09:00.0
C 1 "'x' is no address of a device" unplug x
C 1 "0000:01:00.0 has no cable" link 01:00.0 up
C 1 "'sideways': a link is up or down" link 02:00.0 sideways
C 1 "0000:01:00.0 has no virtual functions" sriov 01:00.0 1
C 1 "0000:02:00.0 has not so many" sriov 02:00.0 9
C 1 "'bad': an error is correctable, nonfatal or fatal" aer 01:00.0 bad
is "a name that is none: which there are" "$("$U" ctl --run nothing list 2>&1)" "uvfio: ctl: 'nothing' is no run of yours; there are"$'\n'"  $(run_name $one)  pid $one, cat"
is "a refusal as it comes, with status 1" "$("$U" ctl --json unplug 09:00.0; echo $?)" $'{"ok":false,"error":"ENODEV","message":"there is no device at 0000:09:00.0: `uvfio ctl list` shows all"}\n1'
is "options behind the request" "$("$U" ctl list --json | cut -c1-17) $("$U" ctl list --run=$one | wc -l)" '{"ok":true,"run": 3'
"$U" ctl list >/dev/full 2>/dev/null; is "a write error of it is an error" $? 1
is "names in any language" "$("$U" ctl plug $'edu,id=\u00fcn\u00efc\u00f8de \U0001f600 "x"'; tail -n 1 "$TMPDIR/$(run_name $one)/devices" | cut -f2)" $'0000:03:00.0, IOMMU group 3\nedu,id=\u00fcn\u00efc\u00f8de \U0001f600 "x"'
dir=$TMPDIR/$(run_name $one)
is "only the user can connect" "$(stat -c %a "$dir/ctl")" 600
if [[ $(id -u) -eq 0 ]]; then
	chmod 755 "$tmp" "$TMPDIR"
	is "and no other is let in" "$(cp "$U" "$tmp/copy"; setpriv --reuid 65534 --regid 65534 --clear-groups "$tmp/copy" ctl --run "$dir" list 2>&1 | grep -c 'Permission denied')" 1
fi
"$U" run --device testdev -- cat "$tmp/wait4" & two=$!
exec 8>"$tmp/wait4"
for ((n = 0; n < 500; n++)); do [[ $(run_name $two) ]] && break; sleep 0.02; done
err=$("$U" ctl list 2>&1); is "several runs: which there are" "$? $(sort <<<"$err" | head -n 2 | xargs) $(sort <<<"$err" | tail -n 1)" \
	"2 $({ echo "  $(run_name $one)  pid $one, cat"; echo "  $(run_name $two)  pid $two, cat"; } | sort | xargs) uvfio: ctl: there are several runs: choose one with --run"
is "inside of a run, that one" "$("$U" run --device edu,addr=09:00.0 -- "$U" ctl list | awk 'NR == 2 { print $1 }')" 0000:09:00.0
is "or another, by name" "$("$U" run -- "$U" ctl --run "$(run_name $two)" list | awk 'NR == 2 { print $2 }')" testdev
is "two at the same time" "$(for i in {1..8}; do "$U" ctl --run "$two" plug edu & done | sort | xargs; wait $(jobs -p | grep -vx -e $one -e $two); "$U" ctl --run $two list | grep -c edu)" \
	"$(for i in {2..9}; do echo "0000:0$i:00.0, IOMMU group $i"; done | xargs)"$'\n'8
exec 7>&- 8>&-; wait $one $two

echo "# signals"
"$U" run -- sh -c 'kill -TERM $$' & wait $! 2>/dev/null; is "killed by a signal" $? 143
cat >"$tmp/how.c" <<'C'
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	int status;
	if (!fork()) { execv(argv[1], argv + 1); _exit(99); }
	wait(&status);
	if (WIFSIGNALED(status)) printf("signal %d core %d\n", WTERMSIG(status), WCOREDUMP(status) != 0);
	else printf("status %d\n", WEXITSTATUS(status));
	return 0;
}
C
$CC -o "$tmp/how" "$tmp/how.c"
is "and really by that signal" "$("$tmp/how" "$U" run -- sh -c 'kill -USR1 $$')" "signal 10 core 0"
is "of another kind" "$("$tmp/how" "$U" run -- sh -c 'kill -KILL $$')" "signal 9 core 0"
is "without a core dump of its own" "$(cd "$tmp"; ulimit -c unlimited; "$tmp/how" "$U" run -- sh -c 'ulimit -c 0; kill -SEGV $$')" "signal 11 core 0"
is "a status is a status" "$("$tmp/how" "$U" run -- sh -c 'exit 139')" "status 139"
started() { for ((n = 0; n < 1000; n++)); do [[ -s $tmp/started ]] && return; sleep 0.05; done; no "the program did not start"; }
for sig in TERM HUP USR1 USR2 INT QUIT ALRM; do
	rm -f "$tmp/started"
	(trap - INT QUIT; exec setsid "$U" run -- bash -c "trap 'exit 9' $sig; echo \$\$ >'$tmp/started'; for ((i = 0; i < 200; i++)); do sleep 0.05; done") &
	pid=$!; started
	kill -"$sig" $pid; wait $pid; is "SIG$sig is passed on" $? 9
done
rm -f "$tmp/started"
"$U" run -- sh -c "echo \$\$ >'$tmp/started'; exec sleep 1000" & pid=$!; started
kill -KILL $pid; wait $pid 2>/dev/null
for ((n = 0; n < 600; n++)); do kill -0 "$(cat "$tmp/started")" 2>/dev/null || break; sleep 0.05; done
if kill -0 "$(cat "$tmp/started")" 2>/dev/null; then no "the program outlives a killed uvfio"; kill "$(cat "$tmp/started")"; else ok "the program does not outlive a killed uvfio"; fi
rm -rf "${TMPDIR:?}"/uvfio-*
# job control: ^Z of the terminal stops the program, then uvfio; fg goes on
rm -f "$tmp/started"
set -m
"$U" run -- sh -c "echo \$\$ >'$tmp/started'; sleep 0.2; kill -TSTP \$\$; exit 4" & pid=$!
started
for ((n = 0; n < 600; n++)); do [[ $(jobs -s) ]] && break; sleep 0.05; done
is "stops with the program" "$(jobs -s | grep -c Stopped)" 1
# bash may not have seen yet that the job goes on: 147 is the stop of before
kill -CONT $pid
for ((n = 0; n < 600; n++)); do wait -f $pid; rc=$?; [[ $rc -ne 147 ]] && break; sleep 0.05; done
is "and goes on with it" $rc 4
set +m
(trap '' CHLD; exec "$U" run -- sh -c 'exit 7'); is "with SIGCHLD ignored" $? 7

echo "# what a device has for itself"
serial() { echo 'for d in 01 02; do lspci -vvs $d:00.0 2>/dev/null | grep -o "Serial Number .*"; done'; }
two=(--device igb --device igb)
all=$("$U" run "${two[@]}" -- sh -c "$(serial); $(serial)")
is "two igb of a run have two addresses, and keep them" "$(wc -l <<<"$all") $(sort -u <<<"$all" | wc -l)" "4 2"
all+=$'\n'$("$U" run "${two[@]}" -- sh -c "$(serial)")
is "and another run's have others" "$(sort -u <<<"$all" | wc -l)" 4
for n in 1 2; do "$U" run --device igb,mac=52:54:00:12:34:56 -- sh -c "$(serial)"; done >"$tmp/out"
is "but for mac=" "$(sort -u "$tmp/out")" "Serial Number 52-54-00-ff-ff-12-34-56"

echo "# the run directory"
cat >"$tmp/daemon.c" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* a group's claim, held by a process that outlives the program */
int main(int argc, char **argv)
{
	struct flock fl = { .l_type = F_WRLCK };
	char path[4096];
	int fd;
	snprintf(path, sizeof(path), "%s/claims/group-1", getenv("UVFIO_RUN_DIR"));
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &fl)) return 1;
	if (fork()) return 0;
	daemon(0, 0);
	while (!access(argv[1], F_OK))
		usleep(10000);
	return 0;
}
C
$CC -o "$tmp/daemon" "$tmp/daemon.c"
touch "$tmp/stay"
timeout 600 "$U" run --device edu -- "$tmp/daemon" "$tmp/stay" | cat; rc=${PIPESTATUS[0]}
is "a daemon that keeps a group does not keep uvfio, nor its pipe" "$rc" 0
is "its run directory stays" "$(ls "$TMPDIR" | wc -l)" 1
rm "$tmp/stay"
for ((n = 0; n < 600; n++)); do [[ $(ls "$TMPDIR") ]] || break; sleep 0.05; done
is "and goes with the daemon" "$(ls "$TMPDIR")" ""

counts
