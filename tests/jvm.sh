#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# jvm.sh: a Java virtual machine, which has handlers of SIGSEGV and SIGBUS that it cannot do
# without, drives mapped BARs (tests/java), by its own compiled code and by native code. With a JDK
# that is installed; the long form (UVFIO_LONG) gets Debian's if there is none.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top"
if [[ -x $(command -v javac) ]]; then
	home=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
elif [[ ${UVFIO_LONG-} ]]; then
	root=$(tools/newer-debs bookworm openjdk-17-jdk-headless) || exit 1
	# what the packages have in /etc, and link to by absolute paths
	while read -r l; do [[ -e $root$(readlink "$l") ]] && ln -sfn "$root$(readlink "$l")" "$l"; done < <(find "$root/usr/lib/jvm" -lname '/etc/*')
	home=$(echo "$root"/usr/lib/jvm/java-17-openjdk-*)
	export LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu
else
	echo "SKIP: a JDK (openjdk-17-jdk-headless)"; exit 77
fi
gcc -std=gnu17 -D_GNU_SOURCE -O2 -g -Wall -Wno-unused-function -fPIC -shared -I"$home/include" -I"$home/include/linux" -Itests -Isrc -o "$tmp/libmmio.so" tests/java/mmio.c tests/lib/vfio.c || exit 1
"$home/bin/javac" -d "$tmp" tests/java/Mmio.java || exit 1
run() { # NAME OPTION...
	local name=$1 rc ok no; shift
	timeout -k 5 600 "$build/uvfio" run --log error --device testdev -- "$home/bin/java" "$@" -Xss512k -cp "$tmp" Mmio "$tmp/libmmio.so" >"$tmp/out" 2>&1; rc=$?
	ok=$(grep -c '^ok ' "$tmp/out") no=$(grep -c '^FAIL ' "$tmp/out")
	[[ $rc -eq 0 || $no -gt 0 ]] || no=1
	sed -n "s/^\(ok  \|FAIL\) /\1 $name: /p" "$tmp/out"
	[[ $no -gt 0 ]] && { echo "FAIL $name: status $rc"; tail -n 30 "$tmp/out"; }
	passed=$((passed + ok)) failed=$((failed + no))
}
run "JVM"
if [[ ${UVFIO_LONG-} ]]; then
	run "JVM, interpreter" -Xint
	run "JVM, compiled at once" -Xcomp
	run "JVM, serial collector" -XX:+UseSerialGC
	run "JVM, ZGC" -XX:+UseZGC
	run "JVM, checked" -Xcheck:jni
fi
counts
