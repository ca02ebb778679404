#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# report.sh: the page of `uvfio report`: what is in it; with UVFIO_LONG, how Chromium shows it
# (Debian's package chromium, which is not among those that `make setup` installs: it is large).
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
U=$build/uvfio drv=$build/test/nvme_driver page=$top/tests/report/page.py
[[ -x $drv ]] || { echo "report: $drv is missing: make driver-programs" >&2; exit 1; }
truncate -s 16M "$tmp/disk"
# a write that fails, which is a line of the log
head -c 8192 /dev/zero | timeout 60 "$U" run --memlock unlimited --trace "$tmp/t" \
	--log-file "$tmp/log" --fault nvme.status,opc=1,qid=1,times=1 \
	--device "nvme,image=$tmp/disk,mmap=trap" -- "$drv" write 0000:01:00.0 -b 8192 -a 0 -i >"$tmp/out" 2>&1
check "a page is made" "$U" report "$tmp/t" -o "$tmp/page.html"
check "with all that it shows, and nothing else is needed" python3 "$page" data "$tmp/page.html"
if command -v node >/dev/null; then
	python3 "$page" script "$tmp/page.html" >"$tmp/page.js"
	check "its script can be read" node --check "$tmp/page.js"
else
	skipped=1; echo "SKIP: node is missing: nobody reads the page's script"
fi
same "where to" 2 "$("$U" report "$tmp/t" >"$tmp/out" 2>&1; echo $?)"
same "a place that cannot be written" 1 "$("$U" report "$tmp/t" -o /nowhere/p >"$tmp/out" 2>&1; echo $?)"

# some ten starts of a browser: in the long form
[[ ${UVFIO_LONG-} ]] || { counts; exit; }
if ! command -v chromium >/dev/null; then
	skipped=$((skipped + 1)); echo "SKIP: chromium is missing"
	counts; exit
fi
# browse URL NAME: $tmp/NAME.html is what became of the page, $tmp/NAME.png how it looks
browse() {
	local options=(--headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$tmp/profile"
		--window-size=1200,3000 --enable-logging=stderr --v=0)
	timeout 120 chromium "${options[@]}" --dump-dom "$1" >"$tmp/$2.html" 2>"$tmp/$2.err" &&
		timeout 120 chromium "${options[@]}" --screenshot="$tmp/$2.png" "$1" >"$tmp/out" 2>>"$tmp/$2.err"
}
check "a browser opens it" browse "file://$tmp/page.html" all
same "without an error" "" "$(grep CONSOLE "$tmp/all.err")"
check "all of it is drawn" grep -q 'data-drawn="[1-9]' "$tmp/all.html"
check "another part of the time" browse "file://$tmp/page.html#from=0&to=400000" zoomed
check "has its parts" python3 "$page" parts "$tmp/all.html" "$tmp/all.png" "$tmp/zoomed.html" "$tmp/zoomed.png"
check "a search" browse "file://$tmp/page.html#q=SQTDBL[1]" found
has "finds what is there" 'id="found"[^>]*>1 events<' "$tmp/found.html"
counts
