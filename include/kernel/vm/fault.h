/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VM_FAULT_H
#define KERNEL_VM_FAULT_H

/* Page faults. vm_fault() decides; the entry code turns the verdict into a signal. */
#include <lib/compiler.h>

struct vm_space;

enum vm_verdict {
	VM_FAULT_OK,		/* mapped now (or already): go on */
	VM_FAULT_SEGV_MAPERR,	/* SIGSEGV, SEGV_MAPERR: nothing is mapped there */
	VM_FAULT_SEGV_ACCERR,	/* SIGSEGV, SEGV_ACCERR: mapped without that right */
	VM_FAULT_BUS_ADRERR,	/* SIGBUS, BUS_ADRERR: past the end of the file, or it cannot be read */
	VM_FAULT_OOM,		/* no memory even after reclaim: kill somebody, then retry */
	VM_FAULT_KILLED,	/* a fatal signal is pending: go and die */
};

/* Access, a mask. The same values as PROT_READ, PROT_WRITE and PROT_EXEC. */
#define VM_ACCESS_READ	BIT(0)
#define VM_ACCESS_WRITE	BIT(1)
#define VM_ACCESS_EXEC	BIT(2)

/*
 * Resolves a fault of `space` at addr. Thread context, interrupts on, no lock of
 * rank LOCK_RANK_SPACE or inner held. The space may be another process's. addr may be
 * anything. Spurious faults (another CPU was faster) are OK.
 */
enum vm_verdict vm_fault(struct vm_space *space, vaddr_t addr, u32 access);

#endif
