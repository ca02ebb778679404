#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# noiommu.sh: devices that no IOMMU is before (`uvfio run --noiommu`): what their nodes and groups
# answer, and DMA by physical addresses, which /proc/self/pagemap and an iommufd tell; an address
# that is nobody's is refused. What an iommufd answers then is in tests/iommufd.sh.
set -uo pipefail
# shellcheck source=tests/lib/part.sh
. "$(dirname "$0")/lib/part.sh"
D1=/sys/bus/pci/devices/0000:01:00.0
V=/sys/bus/pci/drivers/vfio-pci
edu=edu,dma_mask=0xffffffffffff
run() { : >"$tmp/log"; timeout 100 "$build/uvfio" run --log-file "$tmp/log" "$@" 2>"$tmp/err"; }
noiommu() { run --noiommu "$1" --device $edu -- "${@:2}"; }
client=$build/test/noiommu_client

echo "# a group"
ioctls="extension 8: yes|extension 1: yes|status: 1|set_container: 0|status: 3|extension 8: yes|extension 1: 0|device before SET_IOMMU: EINVAL|SET_IOMMU 1: ENODEV|MAP_DMA before: EINVAL|SET_IOMMU 8: 0|SET_IOMMU again: EINVAL|MAP_DMA: ENOTTY|device: yes|"
dma="pagemap: an address|read in all ways: the same|DMA: yes|DMA to a virtual address: no|DMA behind the page: no|DMA after mremap: yes, the same|DMA after MADV_DONTNEED: no|DMA after munmap and mmap: no|DMA to the new one: yes|"
noiommu all "$client" /dev/vfio/noiommu-1 0000:01:00.0 >"$tmp/answers"
same "what its ioctls answer, and DMA by the addresses of the pagemap" "$ioctls${dma}UNSET_CONTAINER: EBUSY" "$(grep -v 'huge page' "$tmp/answers" | paste -sd'|')"
case $(sed -n 's/huge page: //p' "$tmp/answers") in
yes) ok "a huge page is in one piece" ;;
none) echo "SKIP: a huge page (this machine has none)"; skipped=$((skipped + 1)) ;;
*) no "a huge page: $(grep 'huge page' "$tmp/answers")" ;;
esac
same "each refused DMA is a line, and nothing else is" 4 "$(grep -c 'DMA fault: write of 64 bytes.*there is no IOMMU' "$tmp/log")"
has "and one that nothing protects" "no IOMMU keeps its DMA from memory" "$tmp/log"
same "its files" "devices noiommu-1 vfio|noiommu-vfio0|vfio-noiommu|1|Y|VFIO_DEV=noiommu-vfio0" "$(noiommu all sh -c 'echo $(ls /dev/vfio); ls /dev/vfio/devices; cat /sys/kernel/iommu_groups/1/name; basename $(readlink $0/iommu_group); cat /sys/module/vfio/parameters/enable_unsafe_noiommu_mode; echo VFIO_DEV=$(ls $0/vfio-dev)' $D1 | paste -sd'|')"
same "before Linux 7.3: no character device" "noiommu-1 vfio|vfio0" "$(run --kernel 6.12 --noiommu all --device $edu -- sh -c 'echo $(ls /dev/vfio); ls $0/vfio-dev' $D1 | paste -sd'|')"
same "no driver, no group; and no driver unless the mode is on" "vfio|N|EINVAL|EINVAL|Y|noiommu-1 noiommu-vfio0" "$(noiommu all sh -c 'M=/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
	echo 0000:01:00.0 >$0/unbind; echo $(ls /dev/vfio /sys/kernel/iommu_groups | grep -v :); echo N >$M; cat $M
	(/bin/echo 0000:01:00.0 >$0/bind; /bin/echo maybe >$M) 2>&1 | sed "s/.*Invalid argument/EINVAL/"; echo on >$M; cat $M
	echo 0000:01:00.0 >$0/bind; echo $(ls /dev/vfio /dev/vfio/devices | grep noiommu)' $V | paste -sd'|')"

echo "# a character device"
same "physical addresses of an iommufd, and DMA" "open: yes|BIND: 0|MAP: 0|GET_PA before ATTACH: EOPNOTSUPP|ATTACH: 0|GET_PA: 0|that of the pagemap: yes|DMA: yes|DMA to what it was: not here|and back: c" \
	"$(noiommu all "$client" /dev/vfio/devices/noiommu-vfio0 | paste -sd'|')"
same "an IOVA is no physical address" 1 "$(grep -c 'DMA fault.*IOVA 0x10000: there is no IOMMU' "$tmp/log")"
same "it has this name alone" "open: ENOENT" "$(noiommu all "$client" /dev/vfio/devices/vfio0)"

echo "# rights"
nobody=()
if [[ $(id -u) -eq 0 ]] && command -v setpriv >/dev/null; then nobody=(setpriv --inh-caps=-sys_rawio,-sys_admin --bounding-set=-sys_rawio,-sys_admin); fi
same "who has no CAP_SYS_RAWIO is refused" "open: EPERM" "$(noiommu rawio "${nobody[@]}" "$client" /dev/vfio/noiommu-1 0000:01:00.0 | grep open)"
same "by the character device, too" "open: EPERM" "$(noiommu rawio "${nobody[@]}" "$client" /dev/vfio/devices/noiommu-vfio0)"
if [[ ${nobody[0]-} ]]; then
	same "who has no CAP_SYS_ADMIN sees no addresses" "pagemap: none" "$(noiommu rawio setpriv --inh-caps=-sys_admin --bounding-set=-sys_admin "$client" /dev/vfio/noiommu-1 0000:01:00.0 | grep pagemap)"
fi
same "with an IOMMU, the mode says only what there could be" "extension 8: 0|extension 8: yes" \
	"$(run --device edu -- sh -c '"$0" /dev/vfio/noiommu-1 x | head -n 1; echo 1 >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode; "$0" /dev/vfio/noiommu-1 x | head -n 1' "$client" | paste -sd'|')"

counts
