#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# checked.sh: programs that are right, with all kinds of mistakes looked for but leaks: uvfio says
# nothing. docs/checker.md has more; this is the part of it that is quick.
set -u
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"; cd "$top" || exit 1
UVFIO_TEST_CHECK=all,-leak tests/qemu_nvme.sh >"$tmp/out" 2>&1
cases "$tmp/out" "QEMU: " ""
counts
