/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/packet.h: between the server of a run (server.c, in `uvfio run`) and its agents (agent.c, one
 * in each process that has a machine): packets of one size over a socket that keeps them apart. An
 * agent connects when the machine is built, and lives as long as its process or to its exec; the
 * server asks, the agent answers with the same number.
 */
#ifndef CTL_PACKET_H
#define CTL_PACKET_H
#include <stdint.h>

#include "base/pci_address.h"

/* In the run directory. Only its owner can connect. */
#define CTL_SOCKET "ctl"	   /* for clients: a stream of lines */
#define CTL_AGENTS "claims/agents" /* for agents */

enum ctl_op {
	/* from the server */
	CTL_ASK_USES = 1, /* answered by any number of CTL_USE before CTL_DONE */
	CTL_ASK_SYNC,	  /* the run's list changed: follow it (machine_sync) */
	CTL_ASK_LEAVE,	/* @addr, for the a-th time; b: it is lost. value: how many have it open */
	CTL_ASK_ERROR,	/* @addr reports an error; a: enum machine_severity */
	CTL_ASK_RESET,	/* reset @addr (machine_reset) */
	CTL_ASK_SHOW,	/* how @addr is now: answered by any number of CTL_TEXT before CTL_DONE */
	CTL_ASK_BACK,	/* @addr loses its driver, for the a-th time: value as CTL_ASK_LEAVE */
	CTL_ASK_FAULTS, /* the run's table of faults changed: follow it */
	/* from the agent */
	CTL_USE,      /* @addr; a, b: opens by its group and by itself; c: D-state; d: CTL_USE_* */
	CTL_TEXT,     /* a struct ctl_text: the next piece of it */
	CTL_DONE,     /* value: -errno, or as the question says */
	CTL_RELEASED, /* by itself: some device that leaves was closed */
	/*
	 * From who is no agent (relay.c): ask all agents @a, which is a CTL_ASK_*, with @b as its
	 * a. Answered by CTL_DONE: value as the question says, a: how many did not answer.
	 */
	CTL_RELAY,
};
#define CTL_USE_LOST	      1u
#define CTL_USE_MASTER	      2u
#define CTL_USE_CORRECTABLE   4u /* AER has noted such an error */
#define CTL_USE_UNCORRECTABLE 8u
#define CTL_USE_LINK	      16u /* it is known if the link is up: */
#define CTL_USE_LINK_UP	      32u

struct ctl_packet {
	uint32_t op, seq;
	int32_t value;
	uint32_t a, b, c, d;
	char addr[PCI_ADDRESS_TEXT];
};

/* Bytes of what is shown of a device: no more than a socket holds, whose reader may be behind. */
#define CTL_SHOW_MAX 65536u
/* The packet that is larger. */
struct ctl_text {
	struct ctl_packet packet; /* a: bytes of @text */
	char text[2048];
};

/* Connect to where the server of the run at @run_dir expects agents: a private descriptor. */
int ctl_packet_connect(const char *run_dir);
#endif
