# SPDX-License-Identifier: BSD-3-Clause
# side_by_side.sh: for scripts that run several things at the same time, which source it.
#   $JOBS     how many at once (as many as there are processors, if nobody says)
#   alone LOG SECONDS COMMAND...
#             starts a command in the background, in a process group of its own that is ended after
#             so many seconds; what it says goes to LOG
#   side_by_side NAME...
#             calls, which the script has to define: `begin NAME`, which ends with `alone`, and
#             `ended NAME STATUS` as each ends. One for which `may_begin NAME` fails waits until
#             another has ended; by default all may.
JOBS=${JOBS:-$(nproc)}
[[ $JOBS =~ ^[1-9][0-9]*$ ]] || { echo "${0##*/}: JOBS is '$JOBS': it must be a number from 1" >&2; exit 2; }
declare -A running=() # the names, by the process of each
# what comes to a terminal's processes does not come to the groups, and bash has them ignore it
trap 'kill "${!running[@]}" 2>/dev/null; wait; exit 130' INT TERM HUP
alone() {
	local log=$1 limit=$2; shift 2
	env --default-signal=INT,QUIT timeout -k 30 "$limit" "$@" >"$log" 2>&1 </dev/null &
}
may_begin() { :; }
side_by_side() {
	local todo=("$@") i pid rc name
	while :; do
		for i in "${!todo[@]}"; do
			[[ ${#running[@]} -lt $JOBS ]] || break
			may_begin "${todo[i]}" || continue
			begin "${todo[i]}"; running[$!]=${todo[i]}
			unset "todo[i]"
		done
		[[ ${#running[@]} -gt 0 ]] || break
		wait -n -p pid "${!running[@]}"; rc=$?
		name=${running[$pid]}; unset "running[$pid]"
		ended "$name" "$rc"
	done
}
