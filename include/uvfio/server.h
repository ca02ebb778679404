/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uvfio/server.h: serve devices to virtual machines and other programs, by vfio-user.
 *
 * A server has devices, uvfio's or your own, each with a socket. A client of the protocol (QEMU,
 * cloud-hypervisor, SPDK, uvfio itself) connects to it and has the device, until it hangs up: then
 * the device is reset, and the next one may come. A device has one client at a time; another one is
 * told EBUSY.
 *
 * Devices are given as --device takes them, or are models that the program has in itself
 * (uvfio_server_register()). Everything else is done on threads of the server: the program only
 * starts and ends it. A client is not trusted: whatever it sends, it can only lose its own
 * connection; it cannot keep a device from other devices' clients.
 *
 * Threads: every function may be called by any thread, at the same time, except that
 * uvfio_server_remove() and uvfio_server_free() are the last use of their argument that begins.
 *
 * Errors: 0 or -errno; uvfio_server_strerror() has the sentence.
 *
 * Faults: the first uvfio_server_new() installs handlers for SIGSEGV and SIGBUS, which pass on what
 * is not theirs: a client may cut off the file that its memory is. A program that installs its own
 * later passes on what is not its own.
 *
 * Fork: a child does nothing with its parent's servers; it can make its own.
 */
#ifndef UVFIO_SERVER_H
#define UVFIO_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef UVFIO_PUBLIC
/** define UVFIO_PUBLIC - A name that a library shows, whatever -fvisibility says. */
#define UVFIO_PUBLIC __attribute__((visibility("default")))
#endif

/** struct uvfio_server - Devices, each with its socket. Opaque. */
struct uvfio_server;

/** struct uvfio_server_device - One of them. Opaque. */
struct uvfio_server_device;

/** struct uvfio_model - A kind of device, of uvfio/model.h. */
struct uvfio_model;

/**
 * enum uvfio_server_event - What happens to a client, in this order.
 * @UVFIO_SERVER_CONNECTED: it has connected.
 * @UVFIO_SERVER_OPENED: it has the device.
 * @UVFIO_SERVER_REFUSED: instead of that: it is hung up on. The error says why (-EBUSY: another one
 *	has the device).
 * @UVFIO_SERVER_DISCONNECTED: after UVFIO_SERVER_OPENED: it is gone, and the device is as at first.
 *	The error says why it was thrown out; 0: it hung up.
 */
enum uvfio_server_event {
	UVFIO_SERVER_CONNECTED,
	UVFIO_SERVER_OPENED,
	UVFIO_SERVER_REFUSED,
	UVFIO_SERVER_DISCONNECTED,
};

/**
 * struct uvfio_server_ops - What a program wants to hear. Each may be NULL.
 * @event: @event has happened to client number @client (from 1 on) of @dev; @error is 0 or -errno.
 *	By a thread of that client's, so of several clients at the same time. It may call
 *	uvfio_server_address() and uvfio_server_path(), and no other function of this header.
 */
struct uvfio_server_ops {
	void (*event)(void *ctx, struct uvfio_server_device *dev, enum uvfio_server_event event,
		      unsigned client, int error);
};

/**
 * uvfio_server_new() - Make a server without devices.
 * @ops: what the program wants to hear; it is copied. NULL: nothing.
 * @ctx: the first argument of all of them.
 *
 * Context: any thread.
 * Return: the server, to be freed with uvfio_server_free(); NULL: no memory, or no thread or
 * descriptor could be had.
 */
UVFIO_PUBLIC struct uvfio_server *uvfio_server_new(const struct uvfio_server_ops *ops, void *ctx);

/**
 * uvfio_server_free() - Hang up on all clients, take the devices away, free the server.
 * @s: the server; NULL: nothing happens.
 *
 * Socket files that it made are removed. A model that does not return from a callback is waited for
 * without a bound, after all other devices are closed; a line in the log names its client.
 *
 * Context: any thread but one in a callback; the last use of @s and its devices.
 */
UVFIO_PUBLIC void uvfio_server_free(struct uvfio_server *s);

/**
 * uvfio_server_strerror() - The sentence that explains why the last call failed.
 * @s: the server of the call; NULL: uvfio_server_new() or uvfio_server_register() failed.
 *
 * Context: any thread: each has the errors of its own calls.
 * Return: the sentence, never NULL. It is good until the thread's next call that fails.
 */
UVFIO_PUBLIC const char *uvfio_server_strerror(const struct uvfio_server *s);

/**
 * uvfio_server_register() - Have a model of the program's own known by its name.
 * @model: the model (uvfio/model.h); it lives as long as the process.
 *
 * From then on its name is the first word of a device's spec, here and for uvfio_add().
 *
 * Context: any thread.
 * Return: 0; -EEXIST: there is a model of that name; -EINVAL: it is no model of this version, or
 * its name is none; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_server_register(const struct uvfio_model *model);

/**
 * uvfio_server_add() - Have a device served at a path.
 * @s: the server.
 * @spec: the model and its options, as --device takes them (uvfio(1)): "nvme,image=disk.img".
 * @path: the socket, which is made. One that was left behind, at which nobody listens, is replaced.
 * @mode: who may connect to it: the file's mode; 0: 0600.
 * @out: gets the device; may be NULL.
 *
 * Clients can connect from now on, and are served once uvfio_server_start() was called.
 *
 * Virtual functions that @spec asks for (sriov_numvfs=) have sockets at @path.vf0, @path.vf1 and so
 * on, and come and go with @out; events name each by a device of its own. Of a device with a driver
 * in this process (driver=igb) they alone are served: it has no path.
 *
 * Context: any thread.
 * Return: 0; the errors of uvfio_add(); -EADDRINUSE: somebody listens at @path; -EEXIST: something
 * else is there; -ENAMETOOLONG; or why else the socket cannot be made. And after
 * uvfio_server_set_state(): -EOPNOTSUPP: the device's state cannot be saved; -EBUSY: another server
 * has its file; -EEXIST: it is of another device; -EINVAL: it is none, or damaged; -ENOSPC.
 */
UVFIO_PUBLIC int uvfio_server_add(struct uvfio_server *s, const char *spec, const char *path,
				  unsigned mode, struct uvfio_server_device **out);

/**
 * uvfio_server_add_fd() - Have a device served at a socket that listens already.
 * @s: the server.
 * @spec: as in uvfio_server_add().
 * @fd: a stream socket of AF_UNIX that listens, as systemd gives it; it is the server's from now
 *	on, also if this fails.
 * @out: gets the device; may be NULL.
 *
 * Context: any thread.
 * Return: 0; the errors of uvfio_add(); -EINVAL: @fd is no such socket; -EOPNOTSUPP: @spec has
 * virtual functions, for whose sockets there is no place; or as uvfio_server_add().
 */
UVFIO_PUBLIC int uvfio_server_add_fd(struct uvfio_server *s, const char *spec, int fd,
				     struct uvfio_server_device **out);

/**
 * uvfio_server_ioeventfd() - Let clients make a write by an eventfd.
 * @dev: the device, whose server is not started (uvfio_server_start()).
 * @region: the region, as of VFIO: 0 to 5 are the BARs.
 * @offset: the register in it, in bytes; a multiple of @size.
 * @size: bytes of the write: 1, 2, 4 or 8.
 * @value: what is written.
 *
 * A client that asks (VFIO_USER_DEVICE_GET_REGION_IO_FDS) has KVM signal the eventfd when its guest
 * writes @value there, instead of sending a message. Signals are counted, not queued, and such a
 * write may overtake others: it is for doorbells that say "look".
 *
 * Context: any thread.
 * Return: 0; -EINVAL: no such region, place or size; -EBUSY: its server is started; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_server_ioeventfd(struct uvfio_server_device *dev, unsigned region,
					uint64_t offset, unsigned size, uint64_t value);

/**
 * uvfio_server_remove() - Hang up on a device's client, and take the device away.
 * @dev: the device; NULL: nothing happens.
 *
 * A model that does not return from a callback is waited for; other devices are not held up by it.
 *
 * Context: any thread but one in a callback; the last use of @dev.
 */
UVFIO_PUBLIC void uvfio_server_remove(struct uvfio_server_device *dev);

/**
 * uvfio_server_set_limit() - Bound what each client can have of this process.
 * @s: the server.
 * @name: one of these; what is beyond it is refused, with a line that names it:
 *	"maps": mappings of memory (1048576);
 *	"files": files of memory, each of which is a descriptor here (1024);
 *	"memory": bytes of this process's addresses at which they are (16 TiB);
 *	"fds": descriptors in a message (16);
 *	"eventfds": vectors of interrupts with an eventfd, each of which is a descriptor (4096);
 *	"data": bytes in a message, also of bitmaps and of migration (1 MiB);
 *	"queue": commands that wait while others are carried out (1024), with at most four times
 *	"data" and "fds" altogether;
 *	"migration": bytes of a state that it has not read yet, or that has come and is not loaded
 *	yet (256 MiB);
 *	"dirty-log": bytes of the bits of the log of DMA writes (32 MiB): nothing is refused, but
 *	with less the log notes larger pages, as the reply says;
 *	"dma-timeout": milliseconds in which it answers when the device reaches for memory of which
 *	there is no file (3000).
 * @value: what is to hold for clients of devices that are started from now on.
 *
 * Context: any thread.
 * Return: 0; -ENOENT: there is no such limit; -ERANGE: it cannot have that value.
 */
UVFIO_PUBLIC int uvfio_server_set_limit(struct uvfio_server *s, const char *name, uint64_t value);

/**
 * uvfio_server_set_state() - Have devices outlive this process.
 * @s: the server, which has no devices yet.
 * @dir: a directory, which is there. In it a file is made for each device, and has its state; and
 *	one named "run", by which devices that are made again have the addresses and serial numbers
 *	that they had.
 *
 * A client that can come back (uvfio's own) and has lost its connection connects to the server that
 * is started in the place of this one, with the same devices and @dir, and goes on. When
 * uvfio_server_stop() or uvfio_server_free() ends this server, every device is kept, exactly as it
 * is. When it is killed, that is so of devices whose models do all in callbacks and timers, if they
 * were in none, and of those that say so (carry_on in uvfio/model.h); others come back as after a
 * reset, and their clients are told. uvfio_server_add() fails for a device whose state cannot be
 * saved. uvfio_server_remove() removes the file.
 *
 * A client that comes and does not know the state that is there has the device as after a reset,
 * and nobody comes back to that state any more.
 *
 * Context: any thread.
 * Return: 0; -EBUSY: there are devices, or it was called before; -ENOENT, -ENOTDIR, -EACCES, -EROFS
 * and what else says that files cannot be in @dir; -EINVAL: its file "run" is something else;
 * -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_server_set_state(struct uvfio_server *s, const char *dir);

/**
 * uvfio_server_start() - Serve clients, those of devices that are added later, too.
 * @s: the server.
 *
 * If it fails, no device is served.
 *
 * Context: any thread.
 * Return: 0; -ENOMEM, -EMFILE, -EAGAIN: no memory, descriptor or thread could be had.
 */
UVFIO_PUBLIC int uvfio_server_start(struct uvfio_server *s);

/**
 * uvfio_server_stop() - Hang up on all clients, and serve none any more.
 * @s: the server.
 *
 * Devices and sockets stay: who connects waits until uvfio_server_start() is called again. All
 * clients are hung up on before one is waited for; a model that does not return from a callback is
 * waited for at the end, and uvfio_server_start() waits for this.
 *
 * Context: any thread but one in a callback.
 */
UVFIO_PUBLIC void uvfio_server_stop(struct uvfio_server *s);

/**
 * uvfio_server_address() - The address of a device, by which the log names it.
 * @dev: the device.
 *
 * Context: any thread.
 * Return: "0000:01:00.0"; good as long as @dev.
 */
UVFIO_PUBLIC const char *uvfio_server_address(const struct uvfio_server_device *dev);

/**
 * uvfio_server_path() - The path of a device's socket.
 * @dev: the device.
 *
 * Context: any thread.
 * Return: as it was given; NULL: it has no path. Good as long as @dev.
 */
UVFIO_PUBLIC const char *uvfio_server_path(const struct uvfio_server_device *dev);

#ifdef __cplusplus
}
#endif
#endif
