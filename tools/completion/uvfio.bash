# SPDX-License-Identifier: BSD-3-Clause
# Completion of uvfio(1) for bash: commands and options; models and their options, from
# `uvfio models --names`; behind `--`, whatever the program's own completion says.

# List what $2, a --device as far as it is typed, may become: "nv" -> models; "nvme,im" -> options
# of nvme; "nvme,image=d" -> files.
_uvfio_device() {
	local uvfio=$1 spec=$2 piece before names
	piece=${spec##*,} before=${spec%"${spec##*,}"}
	if [[ -z $before ]]; then
		names=$("$uvfio" models --names 2>/dev/null)
		COMPREPLY=($(compgen -W "$names" -- "$piece") $(compgen -f -X '!*.so' -- "$piece")
			$(compgen -d -S / -- "$piece"))
	elif [[ $piece == *=* ]]; then
		COMPREPLY=($(compgen -f -P "$before${piece%%=*}=" -- "${piece#*=}"))
	else
		names=$("$uvfio" models --names "${spec%%,*}" 2>/dev/null)
		COMPREPLY=($(compgen -W "$names" -P "$before" -- "$piece"))
	fi
	compopt -o nospace
}

_uvfio() {
	local uvfio=$1 line=${COMP_LINE:0:COMP_POINT} words n cur prev i head names
	COMPREPLY=()
	# bash cuts words at '=' and ':', which devices are full of: take the line's own words
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	n=$((${#words[@]} - 1)) cur=${words[n]} prev=${words[n - 1]}

	if ((n == 1)); then
		names="run ctl models dump help version --help --version"
		COMPREPLY=($(compgen -W "$names" -- "$cur"))
		return
	fi
	if [[ ${words[1]} == run ]]; then
		for ((i = 2; i < COMP_CWORD; i++)); do
			[[ ${COMP_WORDS[i]} == -- ]] || continue
			if declare -F _command_offset >/dev/null; then
				_command_offset $((i + 1))
			elif [[ $prev == -- ]]; then
				COMPREPLY=($(compgen -c -- "$cur"))
			else
				COMPREPLY=($(compgen -f -- "$cur"))
			fi
			return
		done
	fi
	case ${words[1]}:$prev:$cur in
	run:--device:* | dump:--device:*) _uvfio_device "$uvfio" "$cur" ;;
	run:*:--device=* | dump:*:--device=*)
		_uvfio_device "$uvfio" "${cur#*=}"
		COMPREPLY=("${COMPREPLY[@]/#/--device=}")
		;;
	run:--iommu:*) COMPREPLY=($(compgen -W "dirty-tracking=on dirty-tracking=off" -- "$cur")) ;;
	run:--kernel:*) COMPREPLY=($(compgen -W "6.1 6.12 7.3" -- "$cur")) ;;
	run:--log:*) COMPREPLY=($(compgen -W "error warn info debug none" -- "$cur")) ;;
	run:--log-file:*) COMPREPLY=($(compgen -f -- "$cur")) ;;
	run:--noiommu:*) COMPREPLY=($(compgen -W "rawio all" -- "$cur")) ;;
	run:--memlock:*) COMPREPLY=($(compgen -W "inherit unlimited" -- "$cur")) ;;
	run:*:-*)
		COMPREPLY=($(compgen -W "--device --iommu --kernel --log --log-file \
			--memlock --noiommu --help --" -- "$cur"))
		;;
	run:*) COMPREPLY=($(compgen -c -- "$cur")) ;;
	ctl:plug:*) _uvfio_device "$uvfio" "$cur" ;;
	ctl:unplug:* | ctl:aer:* | ctl:link:* | ctl:sriov:*)
		names=$("$uvfio" ctl list 2>/dev/null | awk 'NR > 1 { print $1 }')
		COMPREPLY=($(compgen -W "$names" -- "$cur"))
		;;
	ctl:*:-*)
		COMPREPLY=($(compgen -W "--run --json --help --surprise --timeout" -- "$cur"))
		;;
	ctl:*)
		case ${words[n - 2]} in
		aer) COMPREPLY=($(compgen -W "correctable nonfatal fatal" -- "$cur")) ;;
		link) COMPREPLY=($(compgen -W "up down" -- "$cur")) ;;
		*) COMPREPLY=($(compgen -W "list plug unplug aer link sriov" -- "$cur")) ;;
		esac
		;;
	dump:*) COMPREPLY=($(compgen -W "--device --help" -- "$cur")) ;;
	models:*:-*) COMPREPLY=($(compgen -W "--names --help" -- "$cur")) ;;
	models:*) COMPREPLY=($(compgen -W "$("$uvfio" models --names 2>/dev/null)" -- "$cur")) ;;
	help:*) COMPREPLY=($(compgen -W "run ctl models dump help version" -- "$cur")) ;;
	esac
	# and give back what bash takes for the word
	head=${cur%"${cur##*[=:]}"}
	COMPREPLY=("${COMPREPLY[@]#"$head"}")
}
complete -F _uvfio uvfio
