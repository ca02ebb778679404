# SPDX-License-Identifier: BSD-3-Clause
# part.sh: what the scripts of the suite share. A tests/NAME.sh sources it first, and ends with
# `counts`.
#   $top $build            the tree, and the build as an absolute path (BUILD names it)
#   $tmp                   a directory that is removed at the end
#   ok WHAT                counts a case that passed
#   no WHAT [LINE]...      counts one that failed, with what there is to see
#   same WHAT WANTED GOT   counts one by comparing two texts; the end of $tmp/log is shown if they differ
#   has WHAT PATTERN [FILE]
#                          counts one by a line like PATTERN in FILE ($tmp/log)
#   check WHAT COMMAND...  counts one by a command's status, and shows the output of one that fails
#   cases FILE PREFIX SUFFIX
#                          counts the cases of a program by its lines "ok ..." and "FAIL ..."
#   counts                 prints `N passed, N failed[, N skipped]`; status 1 if one failed or none ran
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-build}; [[ $build == /* ]] || build=$top/$build
passed=0 failed=0 skipped=0
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
ok() { passed=$((passed + 1)); echo "ok   $1"; }
no() {
	failed=$((failed + 1)); echo "FAIL $1"; shift
	[[ $# -eq 0 ]] || printf '     %s\n' "$@"
}
same() {
	if [[ $2 == "$3" ]]; then ok "$1"; return; fi
	no "$1" "wanted: $2" "got:    $3"
	if [[ -s $tmp/log ]]; then tail -n 3 "$tmp/log"; fi
}
has() {
	local file=${3-$tmp/log}
	if grep -qE -- "$2" "$file"; then ok "$1"; return; fi
	no "$1: no line like '$2' in:"; tail -n 5 "$file"
}
check() {
	local what=$1; shift
	if "$@" >"$tmp/out" 2>&1; then ok "$what"; return; fi
	no "$what"; tail -n 20 "$tmp/out"
}
cases() {
	local word what
	while read -r word what; do
		case $word in
		ok) ok "$2$what$3" ;;
		FAIL) no "$2$what$3" ;;
		*) [[ $word ]] && echo "     $word $what" ;;
		esac
	done <"$1"
}
counts() {
	[[ ! ${UVFIO_TEST_CHECK-} ]] || checked_counts
	echo "$passed passed, $failed failed$([[ $skipped -eq 0 ]] || echo ", $skipped skipped")"
	[[ $failed -eq 0 && $passed -gt 0 ]]
}
if [[ ${UVFIO_TEST_CHECK-} ]]; then
	# shellcheck source=tests/lib/checked.sh
	. "$top/tests/lib/checked.sh"
	checked_build
fi
