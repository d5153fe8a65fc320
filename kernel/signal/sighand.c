// SPDX-License-Identifier: MIT
/* The table of actions: see sighand.h for its idea of used slots. */
#include <kernel/core/assert.h>
#include <kernel/mm/slab.h>
#include <kernel/signal/sighand.h>
#include <kernel/signal/signal.h>
#include <lib/errno.h>
#include <lib/fls.h>
#include <lib/string.h>

static struct kmem_cache *sighand_cache;

void sighand_init(void)
{
	sighand_cache = kmem_cache_create("sighand", sizeof(struct sighand), 64, NULL, 0);
	if (!sighand_cache)
		panic("no memory for signal actions");
}

struct sighand *sighand_create(void)
{
	struct sighand *sh = kmem_cache_alloc(sighand_cache, 0);

	if (!sh)
		return NULL;
	refcount_init(&sh->ref, 1);
	spin_init(&sh->lock, "sighand", LOCK_RANK_SIGACTION);
	sh->set = 0;
	sh->ignored = 0;
	sh->caught = 0;
	return sh;
}

struct sighand *sighand_copy(struct sighand *from)
{
	struct sighand *sh = sighand_create();
	sigset64_t left;
	irqflags_t f;

	if (!sh)
		return NULL;
	f = spin_lock_irqsave(&from->lock);
	sh->set = from->set;
	sh->ignored = from->ignored;
	sh->caught = from->caught;
	for (left = sh->set; left; left &= left - 1) {
		int i = ffs64(left) - 1;

		sh->actions[i] = from->actions[i];
	}
	spin_unlock_irqrestore(&from->lock, f);
	return sh;
}

void sighand_put(struct sighand *sh)
{
	if (refcount_put_and_test(&sh->ref))
		kmem_cache_free(sighand_cache, sh);
}

static void sighand_read_locked(const struct sighand *sh, int sig, struct sigaction *out)
{
	if (sh->set & SIGMASK(sig))
		*out = sh->actions[sig - 1];
	else
		*out = (struct sigaction){ .sa_flags = 0 };
}

void sighand_action(struct sighand *sh, int sig, struct sigaction *out)
{
	irqflags_t f = spin_lock_irqsave(&sh->lock);

	sighand_read_locked(sh, sig, out);
	spin_unlock_irqrestore(&sh->lock, f);
}

void sighand_exchange_action(struct sighand *sh, int sig, const struct sigaction *act, struct sigaction *old)
{
	sigset64_t bit = SIGMASK(sig);
	irqflags_t f = spin_lock_irqsave(&sh->lock);

	if (old)
		sighand_read_locked(sh, sig, old);
	sh->actions[sig - 1] = *act;
	sh->set |= bit;
	sh->ignored = act->sa_handler.addr == SIG_IGN ? sh->ignored | bit : sh->ignored & ~bit;
	sh->caught = act->sa_handler.addr > SIG_IGN ? sh->caught | bit : sh->caught & ~bit;
	spin_unlock_irqrestore(&sh->lock, f);
}

void sighand_set_default(struct sighand *sh, int sig)
{
	sigset64_t bit = SIGMASK(sig);
	irqflags_t f = spin_lock_irqsave(&sh->lock);

	if (sh->set & bit)
		sh->actions[sig - 1].sa_handler = UPTR_NULL;
	sh->ignored &= ~bit;
	sh->caught &= ~bit;
	spin_unlock_irqrestore(&sh->lock, f);
}

/* Only ignored signals keep an action, and of that only SIG_IGN. */
void sighand_flush_handlers(struct sighand *sh)
{
	sigset64_t left;
	irqflags_t f = spin_lock_irqsave(&sh->lock);

	sh->caught = 0;
	sh->set = sh->ignored;
	for (left = sh->set; left; left &= left - 1)
		sh->actions[ffs64(left) - 1] = (struct sigaction){ .sa_handler = { SIG_IGN } };
	spin_unlock_irqrestore(&sh->lock, f);
}

#define SA_KNOWN (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | \
		  SA_RESETHAND | SA_EXPOSE_TAGBITS | SA_RESTORER)

/* An action that makes a signal do nothing also takes away what is pending of it (POSIX 2.4.3). */
static bool action_ignores(int sig, const struct sigaction *act)
{
	return act->sa_handler.addr == SIG_IGN ||
	       (act->sa_handler.addr == SIG_DFL && (SIGMASK(sig) & SIG_IGNORE_MASK));
}

int signal_action(int sig, struct sigaction *act, struct sigaction *old)
{
	struct process *p = current_process();
	irqflags_t f;

	if (!signal_valid(sig) || (act && (SIGMASK(sig) & SIG_KERNEL_ONLY_MASK)))
		return -EINVAL;
	if (!act) {
		if (old)
			sighand_action(p->sighand, sig, old);
		return 0;
	}
	act->sa_flags &= SA_KNOWN;
	act->sa_mask &= ~SIG_KERNEL_ONLY_MASK;
	sighand_exchange_action(p->sighand, sig, act, old);
	if (action_ignores(sig, act)) {
		f = spin_lock_irqsave(&p->siglock);
		signal_flush_mask_locked(p, SIGMASK(sig));
		spin_unlock_irqrestore(&p->siglock, f);
	}
	return 0;
}
