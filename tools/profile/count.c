/* SPDX-License-Identifier: MIT */
/*
 * A TCG plug-in that counts instructions per CPU between a program's own marks (mark.h), on a machine of several CPUs that
 * run freely: what profile.py's plug-in does for one CPU, without functions. A program that is bound to a CPU puts the
 * OWN pair around its work; each second mark writes a line `COUNT cpu instructions` to the output. Everything that the CPU
 * executes meanwhile counts: the kernel, its interrupts, and what it spins while another CPU holds a lock.
 *
 * Whole translation blocks are counted as they begin, so a count is wrong by less than a block at either end.
 *
 *	-plugin count.so,output=FILE
 *
 * Key: [v] touched by the virtual CPU's thread only; [I] fixed; [o] flockfile(out).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "qemu_plugin.h"

#define MAX_CPUS	64u
#define NOP_BYTES	7u
#define MARK_OWN_START	0x50524633u
#define MARK_OWN_STOP	0x50524634u

__attribute__((visibility("default"))) int qemu_plugin_version = QEMU_PLUGIN_API_VERSION;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
								char **argv);

struct cpu {
	uint64_t count;		/* [v] */
	bool counting;		/* [v] */
} __attribute__((aligned(128)));

static struct cpu cpus[MAX_CPUS];
static FILE *out;		/* [I], its contents [o] */

static void on_block(unsigned int vcpu, void *instructions)
{
	if (cpus[vcpu].counting)
		cpus[vcpu].count += (uintptr_t)instructions;
}

static void on_start(unsigned int vcpu, void *data)
{
	(void)data;
	cpus[vcpu].count = 0;
	cpus[vcpu].counting = true;
}

static void on_stop(unsigned int vcpu, void *data)
{
	(void)data;
	if (!cpus[vcpu].counting)
		return;
	cpus[vcpu].counting = false;
	fprintf(out, "COUNT %u %" PRIu64 "\n", vcpu, cpus[vcpu].count);
	fflush(out);
}

/* The displacement of mark.h's NOP, or 0. */
static uint32_t mark_of(const struct qemu_plugin_insn *insn)
{
	static const uint8_t nop[3] = { 0x0f, 0x1f, 0x80 };
	const uint8_t *bytes = qemu_plugin_insn_data(insn);
	uint32_t mark = 0;

	if (qemu_plugin_insn_size(insn) == NOP_BYTES && !memcmp(bytes, nop, sizeof(nop)))
		memcpy(&mark, bytes + sizeof(nop), sizeof(mark));
	return mark;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i;

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, (void *)(uintptr_t)n);
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint32_t mark = mark_of(insn);

		if (mark == MARK_OWN_START)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_start, QEMU_PLUGIN_CB_NO_REGS, NULL);
		else if (mark == MARK_OWN_STOP)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_stop, QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	if (!info->system_emulation || info->system.max_vcpus > (int)MAX_CPUS || argc != 1 || strncmp(argv[0], "output=", 7)) {
		fprintf(stderr, "count plug-in: wants a system of at most %u CPUs, and output=FILE\n", MAX_CPUS);
		return 1;
	}
	out = fopen(argv[0] + 7, "w");
	if (!out) {
		perror(argv[0] + 7);
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
