# SPDX-License-Identifier: BSD-3-Clause
# side_by_side.sh: for scripts that run several things at the same time, which source it.
#   $JOBS     how many at once (as many as there are processors, if nobody says)
#   alone LOG SECONDS COMMAND...
#             starts a command in the background, in a process group of its own that is ended after
#             so many seconds; what it says goes to LOG
#   side_by_side NAME...
#             calls, which the script has to define: `begin NAME`, which ends with `alone`, and
#             `ended NAME STATUS` as each ends. One for which `may_begin NAME` fails waits until
#             another has ended; by default all may. One for which `sleeps NAME` holds is not counted
#             in JOBS, unless that is 1; by default none.
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
sleeps() { false; }
side_by_side() {
	local todo=("$@") i pid rc name free=$JOBS
	declare -A takes=() # what each that runs takes of JOBS
	while :; do
		for i in "${!todo[@]}"; do
			name=${todo[i]} takes[$name]=1
			[[ $JOBS -eq 1 ]] || ! sleeps "$name" || takes[$name]=0
			[[ $free -ge ${takes[$name]} ]] && may_begin "$name" || continue
			begin "$name"; running[$!]=$name
			free=$((free - takes[$name]))
			unset "todo[i]"
		done
		[[ ${#running[@]} -gt 0 ]] || break
		wait -n -p pid "${!running[@]}"; rc=$?
		name=${running[$pid]}; unset "running[$pid]"
		free=$((free + takes[$name]))
		ended "$name" "$rc"
	done
}
