/*
 * fail.h - scenes: what a system call does, to be tried with each of its
 * allocations failing once.
 *
 * A scene has a call that is tried (`op`), what it needs (`prep`) and how to
 * undo it whether it worked or not (`undo`, which gets the call's result).
 * The driver (fail.c) runs it with the 1st, 2nd, 3rd ... allocation failing
 * until one run is left alone, by Linux's /proc/thread-self/fail-nth.  Each
 * run must succeed or fail with ENOMEM or one of `also`; the last must
 * succeed, or fail with `wants`.  After the scene nothing may be left.
 *
 * The name is "CALL" or "CALL.variant": the harness checks that every call of
 * kernel/syscall/syscall.tbl that is there has at least one.
 */
#ifndef TEST_FAIL_H
#define TEST_FAIL_H

#include "../abi/tap.h"

#include <sys/mman.h>
#include <sys/uio.h>

#define CHILD	1	/* op runs in a child of its own: it changes the process */
#define EXEC	2	/* op replaces a child by this program: see fail.c */
#define MAY_DIE	4	/* the child may be killed: exec past the point of no return */

struct scene {
	const char *name;
	int flags, wants, also[4];
	void (*prep)(void);
	long (*op)(void);
	void (*undo)(long r);
};

#define ALSO(...) (__VA_ARGS__)
#define LIST_(...) { __VA_ARGS__ }

#define SCENE_(id, name_, flags_, wants_, also_, before_, call_, after_)			\
	static void prep_##id(void) { before_; }					\
	static long op_##id(void) { return (long)(call_); }				\
	static void undo_##id(long r) { (void)r; after_; }				\
	static const struct scene scene_##id __attribute__((used, section("scenes"),	\
		aligned(8))) = { name_, flags_, wants_, LIST_ also_, prep_##id, op_##id, undo_##id }
#define SCENE(id, name, also, prep, op, undo) SCENE_(id, name, 0, 0, also, prep, op, undo)
#define SCENE_CHILD(id, name, also, prep, op) SCENE_(id, name, CHILD, 0, also, prep, op, )
/* A call that fails the same way always. */
#define SCENE_FAILS(id, name, error, op) SCENE_(id, name, 0, error, ALSO(0), , op, )
/* A call without arguments that matter and nothing to undo. */
#define SIMPLE(call, ...) SCENE(call, #call, ALSO(0), , syscall(SYS_##call, ##__VA_ARGS__), )

#define LONG_NAME "a-name-that-is-much-too-long-for-the-room-inside-of-a-directory-entry-and-so-takes-memory-of-its-own"
#define PATH8 "d/d/d/d/d/d/d/d/"

extern char big[1 << 20];	/* touched */
extern char small[4096];	/* touched; each scene's own */
extern int keep_fd;		/* a descriptor that prep leaves for op */
extern void *keep_ptr;
extern long keep_long;

int make_file(const char *path, size_t size);
void fill_dir(const char *path, int files);
void empty_dir(const char *path, int files);
/* Closes a descriptor that a call may have returned. */
void drop(long fd);
/* How many points it printed. */
int test_interface(int *failures);

#endif
