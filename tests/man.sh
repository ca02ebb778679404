#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# man.sh: the pages of the public headers: that they can be made by each awk that is here, have no
# faults that mandoc sees, and that a header with a gap in its comments makes no page.
set -u
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
passed=0 failed=0
ok() { echo "ok   $1"; passed=$((passed + 1)); }
no() { echo "FAIL $1"; failed=$((failed + 1)); sed 's/^/     /' "$tmp/log"; }
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT

lint() { # FILE...: what mandoc says of pages, but that it does not find others which are not here
	! mandoc -Tlint -W style "$@" 2>&1 | grep -v 'mandoc.db\|referenced manual not found' >&2
}
for page in man/uvfio.1 "$BUILD"/man/*.[1-9]; do
	command -v mandoc >/dev/null || { echo "SKIP: mandoc is not installed"; break; }
	if lint "$page" >"$tmp/log" 2>&1; then ok "$page is clean"; else no "$page is clean"; fi
done
for awk in mawk gawk original-awk "busybox awk"; do
	command -v "${awk%% *}" >/dev/null || continue
	for page in "$BUILD"/man/*.[1-9]; do
		h=$(sed -n 's/.* made by .* from //p' "$page")
		[[ $h ]] || continue # the checker's, below
		read -r _ title < <(grep '^\.Dt ' "$page")
		date=$(sed -n 's/^\.Dd //p' "$page")
		if $awk -f man/header.awk -v title="$title" -v date="$date" "$h" >"$tmp/page" \
			2>"$tmp/log" && diff <(sed '/^\.Sh EXAMPLES/,$d' "$page") \
			<(sed '/^\.Sh SEE ALSO/,$d' "$tmp/page") >>"$tmp/log"; then
			ok "$awk makes the page of $h"
		else no "$awk makes the page of $h"; fi
	done
done
for awk in mawk gawk original-awk "busybox awk"; do
	command -v "${awk%% *}" >/dev/null || continue
	if $awk -f man/kinds.awk -v out=c src/check/kinds.txt 2>&1 |
		diff - "$BUILD/gen/check_kinds.inc" >"$tmp/log"; then
		ok "$awk makes the table of kinds"
	else no "$awk makes the table of kinds"; fi
done

refused() { # WHAT MESSAGE: the header on standard input makes no page, and it is said why
	cat >"$tmp/x.h"
	if awk -f man/header.awk -v title="X 3" "$tmp/x.h" >"$tmp/page" 2>"$tmp/log"; then
		echo "it made a page" >>"$tmp/log"; no "$1"
	elif [[ -s $tmp/page ]]; then echo "and printed half a page" >>"$tmp/log"; no "$1"
	elif ! grep -qF "$2" "$tmp/log"; then echo "(not: $2)" >>"$tmp/log"; no "$1"
	else ok "$1: $2"; fi
}
h=include/uvfio/uvfio.h
refused "a function without a comment" "uvfio_reset() has no comment" \
	< <(awk '/^\/\*\*$/ { held = $0; next }
		held != "" { if (/uvfio_reset\(\) -/) skip = 1; else print held; held = "" }
		!skip; /\*\/$/ { skip = 0 }' $h)
refused "a parameter that is not described" "uvfio_open(): @addr is not described" \
	< <(sed '/ uvfio_open() -/,/\*\//{/@addr: /d}' $h)
refused "a parameter that is not there" "uvfio_open(): @adr is described, and is not there" \
	< <(sed '/ uvfio_open() -/,/\*\//s/@addr: /@adr: /' $h)
refused "no Return:" "uvfio_new(): Return: is missing" \
	< <(sed '/ uvfio_new() -/,/\*\//s/Return: /It gives /' $h)
refused "a Return: of a void function" "uvfio_free(): Return: of a function that returns nothing" \
	< <(sed '/ uvfio_free() -/,/\*\//s/Context: /Return: 0.\n * Context: /' $h)
refused "no Context:" "uvfio_new(): Context: is missing" \
	< <(sed '/ uvfio_new() -/,/\*\//s/Context: /Called by /' $h)
refused "a value that is not described" "enum uvfio_irq_index: @UVFIO_INDEX_MSI is not described" \
	< <(sed '/@UVFIO_INDEX_MSI:/d' $h)
refused "a macro without a comment" "UVFIO_DMA_READ has no comment" \
	< <(sed '/define UVFIO_DMA_READ - /d' $h)
refused "a comment of another" "the comment of uvfio_reset() begins with: uvfio_reset() - " \
	< <(sed 's/ uvfio_reset() -/ uvfio_rest() -/' $h)
refused "a struct member that is not described" "struct x: @b is not described" <<'H'
/* SPDX-License-Identifier: BSD-3-Clause */
/* x.h: a struct. */

/**
 * struct x - Three numbers.
 * @a: the first.
 * @c: and what c is made of.
 */
struct x {
	int a, b;
	struct {
		int d;
	} c[2];
};
H
refused "a callback that does not say what it returns" "struct x: @f does not say" <<'H'
/* SPDX-License-Identifier: BSD-3-Clause */
/* x.h: a struct. */

/** struct x - A callback. */
struct x {
	/** @f: called. */
	int (*f)(int a, char *b);
};
H
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
