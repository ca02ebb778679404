# SPDX-License-Identifier: BSD-3-Clause
# Completion of uvfio(1) for bash: commands and options; models and their options, from
# `uvfio models`; the runs that there are and their devices, from `uvfio ctl`; behind `--`, whatever
# the program's own completion says.
#
# The functions share variables of _uvfio(): $uvfio the command, $words the line as it is up to the
# cursor, $n the index of the last one, $cur that word, which may be empty.

# Offer what compgen makes of its arguments, a line each, beside what is offered.
_uvfio_offer() {
	local more
	mapfile -t more < <(compgen "$@")
	COMPREPLY+=("${more[@]}")
}

# Offer those of the words $1 that begin as $cur does.
_uvfio_words() { _uvfio_offer -W "$1" -- "$cur"; }

# Offer the files that begin as $2 does, with $1 before each.
_uvfio_files() {
	compopt -o filenames
	_uvfio_offer -f -P "$1" -- "$2"
}

# Print the words that a value is one of, from how `uvfio models` writes it, $1: "auto|trap|off",
# "NAME|pci:NAME|root". Capitals stand for what the user has to find.
_uvfio_choices() {
	local word
	for word in ${1//|/ }; do
		word=${word%%[A-Z]*}
		[[ -z $word ]] || echo "$word"
	done
}

# Complete $cur, a --device as far as it is typed: "nv" -> models; "nvme,im" -> options of nvme;
# "nvme,image=d" -> files; "nvme,readonly=o" -> on, off.
_uvfio_device() {
	local piece=${cur##*,} before=${cur%"${cur##*,}"} names kind
	compopt -o nospace
	if [[ -z $before && $cur == host=* ]]; then
		# what this computer has for it
		names=$(basename -a /sys/bus/pci/drivers/vfio-pci/*:* 2>/dev/null)
		_uvfio_offer -W "$names" -P host= -- "${cur#host=}"
		return
	fi
	if [[ -z $before && $cur == socket=* ]]; then
		_uvfio_offer -f -P socket= -- "${cur#socket=}"
		return
	fi
	if [[ -z $before ]]; then
		names=$("$uvfio" models --names 2>/dev/null)
		_uvfio_words "$names"
		_uvfio_offer -f -X '!*.so' -- "$piece"
		_uvfio_offer -d -S / -- "$piece"
		return
	fi
	if [[ $piece != *=* ]]; then
		names=$("$uvfio" models --names "${cur%%,*}" 2>/dev/null)
		_uvfio_offer -W "$names" -P "$before" -- "$piece"
		return
	fi
	kind=$("$uvfio" models "${cur%%,*}" 2>/dev/null |
		sed -n "s/^    ${piece%%=*}=\([^ ]*\).*/\1/p" | head -n 1)
	[[ ${piece%%=*}:$kind != net:TEXT ]] || kind="peer:NAME|tap:NAME|unix:PATH|pcap:FILE"
	before+=${piece%%=*}= piece=${piece#*=}
	case $kind:$piece in
	FILE:*) _uvfio_files "$before" "$piece" ;;
	*:unix:* | *:pcap:*) _uvfio_files "$before${piece%%:*}:" "${piece#*:}" ;;
	*) _uvfio_offer -W "$(_uvfio_choices "$kind")" -P "$before" -- "$piece" ;;
	esac
}

# Print the points at which --fault has something go wrong.
_uvfio_faults() {
	"$uvfio" help fault 2>/dev/null | sed -n '/^POINT/,/^  and/s/^  \([a-z-]\+\) .*/\1/p' |
		grep -v '^and$'
}

# Complete the value $cur of option $1. Status 1: it is none that takes a value.
_uvfio_value() {
	case $1 in
	--device) _uvfio_device ;;
	--abi)
		_uvfio_words "vfio v3 v3,allow_unsafe_intrs=1 v3,intr_remap=off v3,mmu_notifier=off"
		;;
	--iommu) _uvfio_words "dirty-tracking=on dirty-tracking=off" ;;
	--kernel) _uvfio_words "6.1 6.12 7.3" ;;
	--log) _uvfio_words "error warn info debug none" ;;
	--log-file | --socket | --state | --check-file | --fault-file | --suppress | --trace)
		_uvfio_files "" "$cur"
		;;
	--mode) _uvfio_words "0600 0660 0666" ;;
	--noiommu) _uvfio_words "rawio all" ;;
	--memlock) _uvfio_words "inherit unlimited" ;;
	--run) _uvfio_words "$("$uvfio" ctl runs 2>/dev/null | awk 'NR > 1 { print $1, $2 }')" ;;
	--limit)
		_uvfio_words "$("$uvfio" serve --limit help 2>/dev/null | awk '{ print $1 "=" }')"
		;;
	--fault)
		compopt -o nospace
		_uvfio_words "$(_uvfio_faults)"
		;;
	--timeout | --ioeventfd | --error-exitcode | --seed) ;;
	*) return 1 ;;
	esac
}

# Put the index of the first word that is no option's into $at, from $1 on; status 1: the word at
# the cursor belongs to an option.
_uvfio_skip_options() {
	for ((at = $1; at < n; at++)); do
		case ${words[at]} in
		--)
			((at++))
			return 0
			;;
		--abi | --check-file | --device | --error-exitcode | --fault | --fault-file | \
			--iommu | --kernel | --log | --log-file | --seed | --suppress | --mode | \
			--noiommu | --memlock | --run | --socket | --trace | --trace-dma | \
			--trace-memory | --jobs | --json-file | --max-runs | --ok-status | \
			--points | --timeout | --verify | --wrong-status)
			((++at < n)) || return 1
			;;
		-*) ;;
		*) return 0 ;;
		esac
	done
	[[ $cur != -* ]]
}

# Complete a program and its arguments, of which the first is word $1 of ours.
_uvfio_program() {
	local i=0 word at
	whole="" option="" # what bash takes for the word is what comes back
	if ((n == $1)); then
		_uvfio_offer -c -- "$cur"
		return
	fi
	if ! declare -F _command_offset >/dev/null; then
		_uvfio_files "" "$cur"
		return
	fi
	# which is another one of bash's, that cuts at more places
	for ((at = 0; at < $1; at++)); do
		word=
		while ((${#word} < ${#words[at]} && i < COMP_CWORD)); do
			word+=${COMP_WORDS[i++]}
		done
	done
	_command_offset "$i"
}

# Offer the devices of the run that the line is about; "link": those that have a cable.
_uvfio_run_devices() {
	local run=() names i short
	for ((i = 2; i < n; i++)); do
		case ${words[i]} in
		--run) run=(--run "${words[i + 1]}") ;;
		--run=*) run=("${words[i]}") ;;
		esac
	done
	names=$("$uvfio" ctl "${run[@]}" list 2>/dev/null |
		awk -v kind="$1" 'NR > 1 && (kind != "link" || $6 != "-") { print $1 }')
	_uvfio_words "$names"
	# as 01:00.0, too
	short=$(sed -n 's/^0000://p' <<<"$names")
	[[ ${#COMPREPLY[@]} -gt 0 ]] || _uvfio_words "$short"
}

_uvfio_ctl() {
	local request at i args=0
	if ! _uvfio_skip_options 2; then
		_uvfio_value "${words[n - 1]}" || _uvfio_words "--run --json --help"
		return
	fi
	if ((at == n)); then
		_uvfio_words "runs list show plug unplug aer fault link sriov release"
		return
	fi
	request=${words[at]}
	for ((i = at + 1; i < n; i++)); do
		[[ ${words[i]} == -* || ${words[i - 1]} == --timeout ]] || ((args++))
	done
	case $request:$args:$cur in
	unplug:*)
		_uvfio_value "${words[n - 1]}" && return
		case $cur:$args in
		-*) _uvfio_words "--surprise --timeout" ;;
		*:0) _uvfio_run_devices any ;;
		esac
		;;
	plug:0:*) _uvfio_device ;;
	aer:0:* | sriov:0:* | show:0:*) _uvfio_run_devices any ;;
	link:0:*) _uvfio_run_devices link ;;
	aer:1:*) _uvfio_words "correctable nonfatal fatal" ;;
	link:1:*) _uvfio_words "up down" ;;
	fault:0:*)
		_uvfio_run_devices any
		_uvfio_value --fault
		;;
	fault:1:*) _uvfio_value --fault ;;
	esac
}

# Print the names of the checker's kinds of mistakes, and with an argument those of their groups.
_uvfio_kinds() {
	"$uvfio" help check 2>/dev/null |
		awk -v groups="${1-}" '/^  [a-z]/ { print $1 } groups && /^[a-z]+$/'
}

_uvfio_run() {
	local at
	if [[ $option == --check= ]]; then
		compopt -o nospace
		at=${cur%"${cur##*,}"}
		_uvfio_offer -W "all $(_uvfio_kinds groups)" -P "$at" -- "${cur##*,}"
	elif [[ $option == --hold= ]]; then
		_uvfio_words always
	elif _uvfio_skip_options 2; then
		_uvfio_program "$at"
	elif ! _uvfio_value "${words[n - 1]}"; then
		_uvfio_words "--abi --check --check= --check-fatal --check-file --device
			--error-exitcode --fault --fault-file --gen-suppressions --hold --hold=
			--iommu --kernel --log --log-file --memlock --noiommu --seed --suppress
			--trace --trace-dma --trace-memory --help --"
	fi
}

_uvfio_trace() {
	case ${words[n - 1]} in
	--kind) _uvfio_words "bar config dma map irq reset ioctl command report" ;;
	--device | --from | --register | --thread | --to) ;;
	-o) _uvfio_files "" "$cur" ;;
	*)
		case ${words[1]}$cur in
		report-*)
			_uvfio_words "-o --device --from --kind --register --thread --to --help"
			;;
		trace-*)
			_uvfio_words "--device --from --json --kind --perfetto --register --stats
				--thread --to --help"
			;;
		*) _uvfio_files "" "$cur" ;;
		esac
		;;
	esac
}

_uvfio_explore() {
	local at
	if _uvfio_skip_options 2; then
		_uvfio_program "$at"
		return
	fi
	case ${words[n - 1]} in
	--json-file) _uvfio_files "" "$cur" ;;
	--points) _uvfio_value --fault ;;
	--jobs | --max-runs | --ok-status | --verify | --wrong-status) ;;
	*)
		_uvfio_value "${words[n - 1]}" ||
			_uvfio_words "--jobs --json-file --max-runs --ok-status --points
				--same-output --timeout --verify --wrong-status --abi --check
				--device --fault --iommu --kernel --log --memlock --noiommu --seed
				--help --"
		;;
	esac
}

_uvfio_conform() {
	local at
	for ((at = 2; at < n; at++)); do
		[[ ${words[at]} != -- ]] || { _uvfio_program $((at + 1)); return; }
	done
	case ${words[n - 1]} in
	--server | --socket | --junit) _uvfio_files "" "$cur" ;;
	--only | --silent | --timeout) ;;
	*)
		_uvfio_words "--client --device-info --junit --list --once --only --server --silent
			--socket --strict --tap --timeout --verbose --help --"
		;;
	esac
}

_uvfio() {
	local uvfio=$1 line=${COMP_LINE:0:COMP_POINT} words n cur whole option="" i breaks
	local commands="run explore serve ctl models dump conform trace report replay help version"
	COMPREPLY=()
	# bash cuts words at '=' and ':', which devices are full of: take the line's own words
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	n=$((${#words[@]} - 1)) whole=${words[n]}
	# --option=value, which no program has typed behind it, is --option value
	if [[ $whole == --*=* && " ${words[*]:2:n-2} " != *" -- "* ]]; then
		option=${whole%%=*}=
		words[n]=${whole%%=*} words+=("${whole#*=}")
		((n++))
	fi
	cur=${words[n]}
	case $((n > 1)):${words[1]} in
	0:*) _uvfio_words "$commands --help --version" ;;
	1:run) _uvfio_run ;;
	1:explore) _uvfio_explore ;;
	1:ctl) _uvfio_ctl ;;
	1:serve)
		_uvfio_value "${words[n - 1]}" ||
			_uvfio_words "--device --ioeventfd --limit --log --log-file --mode --sandbox
				--sandbox=strict --socket --state --help"
		;;
	1:dump) _uvfio_value "${words[n - 1]}" || _uvfio_words "--device --help" ;;
	1:conform) _uvfio_conform ;;
	1:trace | 1:report) _uvfio_trace ;;
	1:replay)
		if ! _uvfio_value "${words[n - 1]}"; then
			case $cur in
			-*) _uvfio_words "--device --of --help" ;;
			*) _uvfio_files "" "$cur" ;;
			esac
		fi
		;;
	1:models)
		case $cur in
		-*) _uvfio_words "--names --help" ;;
		*) _uvfio_words "$("$uvfio" models --names 2>/dev/null)" ;;
		esac
		;;
	1:help) _uvfio_words "$commands check $(_uvfio_kinds)" ;;
	esac
	# give back what bash takes for the word, which ends at the last place where it cuts
	COMPREPLY=("${COMPREPLY[@]/#/$option}")
	for ((i = ${#whole}; i > 0; i--)); do
		breaks=${whole:i-1:1}
		[[ $breaks == [=:] && $COMP_WORDBREAKS == *"$breaks"* ]] || continue
		COMPREPLY=("${COMPREPLY[@]#"${whole:0:i}"}")
		break
	done
}
complete -F _uvfio uvfio
