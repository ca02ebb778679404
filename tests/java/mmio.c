/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/java/mmio.c: the native half of Mmio.java: a VFIO device, and its BARs as buffers. */
#include <jni.h>

#include "shim/shim.h"

static struct vfio v;

JNIEXPORT jint JNICALL Java_Mmio_open(JNIEnv *env, jclass c)
{
	v = vfio_open();
	return v.device < 0 ? errno : 0;
}

JNIEXPORT jobject JNICALL Java_Mmio_map(JNIEnv *env, jclass c, jint region, jint size)
{
	void *p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, v.device,
		       (off_t)region << 40);

	return p == MAP_FAILED ? NULL : (*env)->NewDirectByteBuffer(env, p, size);
}

JNIEXPORT void JNICALL Java_Mmio_decode(JNIEnv *env, jclass c, jboolean on)
{
	uint16_t command = 0;

	if (pread(v.device, &command, 2, (off_t)(CONFIG + PCI_COMMAND)) != 2)
		return;
	command = (uint16_t)(on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY);
	if (pwrite(v.device, &command, 2, (off_t)(CONFIG + PCI_COMMAND)) != 2)
		abort();
}

JNIEXPORT jint JNICALL Java_Mmio_add(JNIEnv *env, jclass c, jobject b, jint offset, jint n)
{
	uint8_t *p = (*env)->GetDirectBufferAddress(env, b);

	return __atomic_fetch_add((jint *)(p + offset), n, __ATOMIC_SEQ_CST);
}

JNIEXPORT jint JNICALL Java_Mmio_load(JNIEnv *env, jclass c, jobject b, jint offset)
{
	uint8_t *p = (*env)->GetDirectBufferAddress(env, b);

	return *(volatile jint *)(p + offset);
}
