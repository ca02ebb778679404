/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FAULT_INTERNAL_H
#define FAULT_INTERNAL_H
#include "fault/fault.h"
#include "fault/table.h"

/*
 * Return a random number, always the same for the same arguments: SplitMix64 (Steele, Lea, Flood
 * 2014), whose state here is a counter.
 */
static inline uint64_t fault_random(uint64_t seed, uint64_t stream, uint64_t n)
{
	uint64_t x = seed + (stream + 1) * 0x9e3779b97f4a7c15ull;

	for (unsigned i = 0; i < 2; i++) {
		x += (n + 1) * 0x9e3779b97f4a7c15ull;
		x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
		x = (x ^ x >> 27) * 0x94d049bb133111ebull;
		x ^= x >> 31;
	}
	return x;
}
#endif
