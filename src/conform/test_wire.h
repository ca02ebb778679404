/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/test_wire.h: what a server of the unit tests may do wrong, and what its parts
 * (test_server.h, test_device.h) share.
 */
#ifndef CONFORM_TEST_WIRE_H
#define CONFORM_TEST_WIRE_H
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/util.h"
#include "conform/wire.h"

enum fault {
	GOOD,
	V_NEEDS_JSON,	 /* VERSION without JSON is refused */
	V_STRICT,	 /* so is an unknown capability */
	V_MINOR,	 /* the reply has a minor higher than was proposed */
	V_MAJOR,	 /* any major is accepted */
	V_ANY,		 /* so is any JSON */
	V_NOT_JSON,	 /* the reply's JSON is none */
	V_NO_NUL,	 /* it has no NUL */
	V_LONG,		 /* it is longer than QEMU takes */
	V_LIMITS,	 /* its limits are beyond QEMU's */
	V_MULTI,	 /* it has write_multiple without being asked */
	V_SKIPPED,	 /* no VERSION is needed */
	V_DIES,		 /* a long one kills the server */
	V_SHORT,	 /* one without a version is accepted */
	H_SMALL,	 /* a size below 16 is taken for 16 */
	H_HUGE,		 /* any size is waited for */
	H_LEAVING,	 /* a message that is not whole kills the server */
	H_TYPES,	 /* the type of a message is not looked at */
	H_WRONG_ID,	 /* replies have another id */
	H_WRONG_CMD,	 /* replies have another command */
	H_REPLY_FLAGS,	 /* replies repeat the flags of the command */
	H_ERROR_BODY,	 /* an error reply has a body */
	H_ERROR_CLOSES,	 /* an error ends the connection */
	H_ANSWERS,	 /* No_reply is not looked at */
	H_ANSWERS_ERROR, /* nor is it where there is an error */
	H_UNKNOWN,	 /* unknown commands succeed */
	H_UNKNOWN_BODY,	 /* their body is left in the stream */
	H_SILENT,	 /* DEVICE_GET_IRQ_INFO is not answered */
	H_FDS,		 /* a descriptor where none belongs kills the server */
	S_ONE_READ,	 /* a header or a body is what one read gives */
	S_SMALL,	 /* messages of more than 64 KiB end the connection */
	I_ARGSZ,	 /* DEVICE_GET_INFO refuses argsz 32 */
	I_ANY_ARGSZ,	 /* it takes any argsz */
	I_SHORT,	 /* short bodies are served */
	I_NOT_PCI,
	I_OVER,	      /* region information is longer than asked for */
	I_INDEX,      /* it is of index 0 */
	I_ANY_INDEX,  /* any index is served */
	I_LOOP,	      /* capabilities run in a circle */
	I_AREA,	      /* a sparse area lies outside of the region */
	I_NO_FD,      /* a region that can be mapped has no descriptor */
	I_BAD_FD,     /* it has one that cannot be mapped */
	Q_AUTOMASKED, /* an interrupt masks itself, and cannot be unmasked */
	Q_ANY_INDEX,
	R_OUTSIDE,	 /* reads outside of a region give zeros */
	R_OUTSIDE_WRITE, /* writes there succeed */
	R_ECHO,		 /* the reply has another offset */
	R_ZERO,		 /* accesses of no bytes have no body in their reply */
	R_COUNT,	 /* a write with less data than its count succeeds */
	R_LOST,		 /* posted writes are lost */
	R_LATE,		 /* posted writes come after the next command */
	R_READ_ONLY,	 /* Vendor ID can be written */
	R_CHANGES,	 /* small reads give other bytes than large ones */
	R_BAR_SIZE,	 /* BARs read back all ones */
	Q_NO_TRIGGER,	 /* an interrupt that is triggered does not come */
	Q_FIRST,	 /* the first comes for each */
	Q_BOOL_ALL,	 /* booleans are not looked at */
	Q_BOOL_SHORT,	 /* nor is how many there are */
	Q_DEASSIGN,	 /* an eventfd is not taken away */
	Q_DISABLE,	 /* nor are all */
	Q_TWICE,	 /* disabling them twice is refused */
	Q_REPLACE,	 /* nor is one replaced */
	Q_FLAGS,	 /* any flags are served */
	Q_OUTSIDE,	 /* interrupts that there are not are served */
	Q_FDS,		 /* any number of eventfds is taken */
	Q_SIGPIPE,	 /* a pipe without a reader kills the server */
	Q_BLOCKS,	 /* a full eventfd stops it */
	Q_ARGSZ,	 /* any argsz is served */
	Q_MASK,		 /* what is maskable is not masked */
	Q_KEPT,		 /* eventfds are kept when the client leaves */
	D_NO_BODY,	 /* the reply to DMA_UNMAP has no body */
	D_KEEPS,	 /* memory stays mapped */
	D_KEPT,		 /* mappings are kept when the client leaves */
	D_OVERLAP,	 /* mappings may overlap */
	D_ERRNO,	 /* they are refused with EINVAL */
	D_IDENTICAL,	 /* the same mapping may be made twice */
	D_TOUCHING,	 /* mappings that touch are refused */
	D_FEW,		 /* there are 10 mappings at most */
	D_WRONG,	 /* any range is mapped */
	D_FLAGS,	 /* with any flags */
	D_MODES,	 /* and the modes of 2026 without a descriptor */
	D_ODD_FDS,	 /* what is no file kills the server */
	D_TWO_FDS,	 /* two descriptors are taken */
	D_ARGSZ,	 /* any argsz is served */
	D_UNMAP_ANY,	 /* a part unmaps the whole */
	D_UNMAP_MORE,	 /* a range unmaps the mapping at its start */
	D_ALL,		 /* ALL unmaps nothing */
	D_BITMAP,	 /* the flag of a bitmap kills the server */
	D_UNMAP_FD,	 /* DMA_UNMAP with a descriptor is refused */
	E_OFFSET,	 /* the offset in the file is not looked at */
	E_BYTES,	 /* a byte is wrong */
	E_BIG,		 /* the client's max_data_xfer_size is not looked at */
	E_MAIN,		 /* commands come on the main socket, though there is a twin */
	E_STALLS,	 /* nothing is answered while an answer is awaited */
	E_BREAKS,	 /* what comes meanwhile kills the server */
	E_TRUSTS,	 /* a wrong answer kills it */
	E_UNMAPPED,	 /* what is not mapped is asked for */
	E_RIGHTS,	 /* rights are not looked at */
	E_SIGBUS,	 /* a file that shrinks kills the server */
	E_MASTER,	 /* nor is bus mastering */
	E_NO_AUTOMASK,	 /* INTx does not mask itself */
	E_NO_UNMASK,	 /* INTx does not come again when it is unmasked */
	M_ORDER,	 /* the first write of several is done last */
	M_COUNT,	 /* their number is not looked at */
	M_OUTSIDE,	 /* nor is what could not be done */
	M_NOT_AGREED,	 /* write_multiple is not looked at */
	Z_ID,		 /* it makes another device */
	Z_DROPS,	 /* it drops mappings */
	C_STATE,	 /* the next client finds another device */
	C_LOSES,	 /* of many requests some are not answered */
	C_DIES,		 /* a client that leaves early kills the server */
	F_METHOD,	 /* features without a method, or with two */
	F_UNKNOWN,	 /* that there are not */
	F_PROBE,	 /* the reply to PROBE is another one */
	F_ARGSZ,	 /* any argsz is served */
	F_ANY_STATE,
	F_ANY_ARC,
	F_NO_STOP_COPY,
	F_STATE_SHORT, /* a state that is not there is set */
	F_NO_RESET,    /* a reset leaves the state */
	F_DATA_STATE,  /* data in any state */
	F_DATA_SIZE,   /* of any size */
	F_DATA_LIES,   /* the reply's size is wrong */
	F_RUBBISH,     /* rubbish is loaded */
	L_BITMAP,      /* a bitmap lacks its end */
	L_PAGES,       /* another page size stops the server */
	L_PART,	       /* a part of a mapping is refused */
	L_WRONG,       /* ranges are not looked at */
	L_SHORT,       /* nor is whether they are there */
	L_NO_MAP,      /* without a mapping, START kills the server */
	NFAULTS
};

#define TS_RAM	0x10000u /* bytes of region 0 */
#define TS_MAX	(DEFAULT_XFER + 64u)
#define TS_MSIX 4u

static struct {
	enum fault fault;
	int conn, twin, ram_fd;
	uint8_t config[256], ram[TS_RAM];
	uint8_t late; /* R_LATE: what is yet to be written */
	bool is_late, versioned, multi, over, start;
	uint16_t asked, asked_cmd; /* a command of ours that is not answered */
	size_t answered;	   /* bytes of the answer */
	uint64_t max;		   /* the client's max_data_xfer_size */
	unsigned n;
	uint8_t *in, *out;
	int fds[64];
	unsigned nfds;
} ts;

static bool ts_is(enum fault fault)
{
	return ts.fault == fault;
}

static void ts_put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static uint64_t ts_get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

#endif
