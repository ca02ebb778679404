# SPDX-License-Identifier: BSD-3-Clause
# checked.sh: UVFIO_TEST_CHECK=KINDS tests/NAME.sh has each `uvfio run` of a part look for mistakes,
# of these kinds (all; -all,irq), and fail if one is seen that tests/lib/checked.supp does not have.
# part.sh sources it then. A case that compares all that `uvfio run` writes fails, too.
#   checked_build   makes $tmp/checked, a build whose uvfio does that, and sets $build
#   checked_counts  counts a case: no mistakes were seen
checked_build() {
	local dir=$tmp/checked file
	mkdir -p "$dir" "$tmp/mistakes"
	for file in "$build"/*; do ln -s "$file" "$dir/"; done
	rm "$dir/uvfio"
	cat >"$dir/uvfio" <<-SH
		#!/bin/bash
		[[ \$1 == run ]] || exec "$build/uvfio" "\$@"
		shift
		exec "$build/uvfio" run --check="$UVFIO_TEST_CHECK" --suppress "$top/tests/lib/checked.supp" \\
			--check-file "$tmp/mistakes/\$\$.\$RANDOM.json" "\$@"
	SH
	chmod +x "$dir/uvfio"
	build=$dir BUILD=$dir
	export BUILD
}
checked_counts() {
	local n
	n=$(cat "$tmp"/mistakes/*.json 2>/dev/null | wc -l)
	if [[ $n -eq 0 && $(ls "$tmp/mistakes") ]]; then ok "no mistakes were seen in $(ls "$tmp/mistakes" | wc -l) runs"; return; fi
	no "$n mistakes were seen" "$(cat "$tmp"/mistakes/*.json | head -c 20000)"
	[[ ! ${UVFIO_TEST_CHECK_KEEP-} ]] || cat "$tmp"/mistakes/*.json >>"$UVFIO_TEST_CHECK_KEEP"
}
