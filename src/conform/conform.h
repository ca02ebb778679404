/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/conform.h: the conformance suite of the vfio-user protocol, for the command. It is a
 * black box: it tests whoever is at the other end of a socket, by bytes that it makes and takes
 * apart on its own, and shares no code with our server or our client.
 */
#ifndef CONFORM_CONFORM_H
#define CONFORM_CONFORM_H
#include <stdbool.h>
#include <stdio.h>

enum conform_format { CONFORM_TEXT, CONFORM_TAP };

struct conform_options {
	bool client;	    /* be a server, and test the client that connects; else the reverse */
	const char *socket; /* where the server is; where to listen. NULL, of a client: a new one */
	char **command;	   /* starts the server, or the client; ends with NULL. NULL: it is there */
	const char *only;  /* a pattern (fnmatch) of tests' names; NULL: all */
	const char *junit; /* write the results to this file, too; NULL: not */
	enum conform_format format;
	unsigned timeout_ms; /* how long one answer may take */
	unsigned silent_ms;  /* a client that says nothing for so long has started up */
	bool once;	     /* the server serves one client: start it for each */
	bool strict;	     /* a warning is a failure */
	bool verbose;	     /* say also of tests that pass what they sent */
	bool list;	     /* the tests' names and sentences, and do nothing */
	bool device_info;    /* what the device is, before the tests */
	FILE *out;
};

/* Run the suite. Return an exit status: 0; 1: a test failed; 2: it could not begin, see stderr. */
int conform_run(const struct conform_options *o);
#endif
