#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# install.sh: make install into an empty DESTDIR, with a path that has a space; what is there, what
# can be built against it by pkg-config, whether it runs from there, and that make uninstall leaves
# nothing.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top"
BUILD=${BUILD:-build} CC=${CC:-cc}
no() { echo "FAIL $1"; failed=$((failed + 1)); [[ -s ${log:-} ]] && sed 's/^/     /' "$log"; }
check() { local what=$1; shift; if "$@" >"$log" 2>&1; then ok "$what"; else no "$what"; fi; }
log=$tmp/log
dest="$tmp/a root"
mk() { make --no-print-directory BUILD="$BUILD" CC="$CC" PREFIX=/opt/uv DESTDIR="$dest" "$@"; }

check "make install" mk install
root=$dest/opt/uv
for f in bin/uvfio lib/libuvfio.so lib/libuvfio.so.0 lib/uvfio/libuvfio-shim.so include/uvfio/model.h include/uvfio/uvfio.h \
	lib/pkgconfig/uvfio.pc share/man/man1/uvfio.1 share/man/man3/uvfio.3 share/man/man3/uvfio_open.3 \
	share/man/man7/uvfio-model.7 share/man/man3/uvfio_add_bar.3 \
	share/bash-completion/completions/uvfio; do
	check "$f is there" test -f "$root/$f"
done
check "nothing mentions the build's place" bash -c '! grep -rlI "$0" "$1"' "$top" "$dest"
if command -v man >/dev/null; then
	check "man finds a function" bash -c 'man -M "$0" -P cat uvfio_open | grep -q uvfio_open_model &&
		man -M "$0" -P cat uvfio_add_bar | grep -q "UVFIO-MODEL(7)"' "$root/share/man"
fi
check "each function has a page" bash -c '
	for f in $(grep -ohE "^UVFIO_PUBLIC .*" "$0"/include/uvfio/*.h | grep -oE "uvfio_[a-z0-9_]+\(" ); do
		test -e "$0/share/man/man3/${f%(}.3" || { echo "${f%(}"; exit 1; }
	done' "$root"
check "the completion is bash" bash -n "$root/share/bash-completion/completions/uvfio"
check "each header stands alone, in C and C++" bash -c 'for h in "$1"/include/uvfio/*.h; do
	for l in "c -std=c11" "c++ -std=c++17"; do
		# a compiler without its C++ part (gcc without g++) says that cc1plus is missing
		echo "int main(void) { return 0; }" | $2 -x ${l% *} -fsyntax-only - 2>/dev/null || continue
		$2 -Wall -Wextra -Werror -fsyntax-only -x $l "$h" || exit 1
	done; done' - "$root" "$CC"

# pkg-config, or what it would say, where it is not installed
pc() {
	if command -v pkg-config >/dev/null; then
		PKG_CONFIG_LIBDIR="$root/lib/pkgconfig" pkg-config --define-variable=prefix="$link" "$@" uvfio
	else
		sed -n "s,\${libdir},$link/lib,;s,\${includedir},$link/include,;$([[ $1 == --libs ]] && echo 's/^Libs: //p' || echo 's/^Cflags: //p')" "$root/lib/pkgconfig/uvfio.pc"
	fi
}
link=$tmp/prefix; ln -s "$root" "$link" # pkg-config's output is split at spaces
check "uvfio.pc has the version" grep -q "^Version: $("$root/bin/uvfio" version | cut -d' ' -f2)\$" "$root/lib/pkgconfig/uvfio.pc"

# a driver of a few lines, and a model of a few lines
cat >"$tmp/driver.c" <<'C'
#include <stdio.h>
#include <uvfio/uvfio.h>
int main(int argc, char **argv)
{
	struct uvfio *u = uvfio_new();
	struct uvfio_device *dev;
	uint16_t id = 0;

	if (!u || uvfio_open_model(u, argv[1], &dev)) {
		fprintf(stderr, "%s\n", u ? uvfio_strerror(u) : "no memory");
		return 1;
	}
	if (uvfio_read(dev, UVFIO_REGION_CONFIG, 2, &id, 2) != 2)
		return 1;
	printf("%s %04x\n", uvfio_device_address(dev), id);
	uvfio_close(dev);
	uvfio_free(u);
	return 0;
}
C
cat >"$tmp/plugin.c" <<'C'
#include <uvfio/model.h>
static int create(struct uvfio_dev *dev)
{
	const struct uvfio_ids ids = { .vendor = 0x1af4, .device = 0x7777, .class_code = 0xff0000 };

	return uvfio_set_ids(dev, &ids);
}
UVFIO_PUBLIC const struct uvfio_model uvfio_model;
const struct uvfio_model uvfio_model = { UVFIO_MODEL_INIT, .name = "plugin", .summary = "a test", .create = create };
C
check "a driver builds with pkg-config" $CC -Wall -Werror -o "$tmp/driver" "$tmp/driver.c" $(pc --cflags) $(pc --libs)
check "a plug-in builds with pkg-config" $CC -Wall -Werror -fvisibility=hidden -shared -fPIC -o "$tmp/plugin.so" "$tmp/plugin.c" $(pc --cflags)
export LD_LIBRARY_PATH="$root/lib"
check "the driver runs on a model of uvfio's" bash -c '[[ $("$0" edu) == "0000:01:00.0 11e8" ]]' "$tmp/driver"
check "the driver runs on the plug-in" bash -c '[[ $("$0" "$1") == "0000:01:00.0 7777" ]]' "$tmp/driver" "$tmp/plugin.so"
unset LD_LIBRARY_PATH
for f in examples/*.c; do
	[[ -e $f ]] || continue
	if grep -qE "<uvfio/(uvfio|server).h>" "$f"; then
		check "$f builds with pkg-config" $CC -Wall -o "$tmp/example" "$f" $(pc --cflags) $(pc --libs)
	elif grep -q "uvfio_model\b" "$f"; then
		check "$f builds as a plug-in" $CC -Wall -shared -fPIC -o "$tmp/example.so" "$f" $(pc --cflags)
		check "$f is a model to the installed uvfio" "$root/bin/uvfio" models "$tmp/example.so"
	fi
done

# the shim's path has a space now, which LD_PRELOAD cannot say
check "the installed uvfio runs a program" bash -c '[[ $("$0" run --device edu -- cat /sys/bus/pci/devices/0000:01:00.0/device) == 0x11e8 ]]' "$root/bin/uvfio"
mkdir "$tmp/lost"; cp "$root/bin/uvfio" "$tmp/lost/"
"$tmp/lost/uvfio" run -- true >"$log" 2>&1; rc=$?
if [[ $rc -eq 2 ]] && grep -q "libuvfio-shim.so is neither" "$log"; then ok "without its shim it says so"; else no "without its shim it says so ($rc)"; fi

check "make uninstall" mk uninstall
check "nothing is left" bash -c '[[ -z $(find "$0" ! -type d) ]]' "$dest"
counts
