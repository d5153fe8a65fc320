/*
 * tail.c - the last of the program's own files: it ends their .bss with a page, so that libc's begins with one.
 *
 * A forked child writes to its stack and to libc's .bss, which is smaller than a page. Each page that it writes is copied, for
 * 1,800 instructions with the fault. Whether that is one page of libc or two must not hang on how large all variables before
 * are together: else an operation that is added here would change the cost of fork.
 */
#include "bench.h"

static unsigned char last_page[PAGE] __attribute__((aligned(4096), used));
