#include <errno.h>
#include "x86/internal.h"
int insn_stepping(struct insn *n)
{
	return -EOPNOTSUPP;
}
