/* SPDX-License-Identifier: MIT */
/*
 * Random numbers.
 *
 * Base key: 32 bytes, into which everything that might be unpredictable is hashed (BLAKE2s of the old key and
 * the new data). The loader gives 64 bytes from the firmware or the CPU before anybody asks, so there is no
 * "not ready yet". Each mixing raises the generation.
 *
 * Each CPU has a ChaCha20 key derived from the base key when generations differ, or when it has given out much.
 * Fast key erasure: a request takes one block, the first half of which replaces the key at once, so that a
 * later look into memory tells nothing about numbers given out before. Small requests (random_u64) are served from
 * a small batch, each word wiped as it is given out.
 *
 * Locks: the base key has a spinlock; a CPU's state is changed with interrupts off.
 */
#include <hal/clock.h>
#include <hal/cpu.h>
#include <kernel/core/percpu.h>
#include <kernel/core/random.h>
#include <kernel/core/spinlock.h>
#include <lib/blake2s.h>
#include <lib/chacha.h>
#include <lib/hash.h>
#include <lib/string.h>

#define KEY_BYTES	CHACHA_KEY_BYTES
#define RESEED_BLOCKS	(1u << 16)		/* 4 MiB from one derived key */
#define RESEED_NS	(300ull * 1000000000ull)
#define BATCH_WORDS	8u

static struct {
	struct spinlock lock;
	u8 key[KEY_BYTES];	/* [l] */
	u64 counter;		/* [l] */
	u32 generation;		/* [l] read racily */
} base = { .lock = SPINLOCK_INIT("random", LOCK_RANK_RANDOM), .generation = 1 };

/* [own CPU, interrupts off] */
struct random_cpu {
	u8 key[KEY_BYTES];
	u64 batch[BATCH_WORDS];
	u64 seeded_ns;
	u32 batch_left;
	u32 generation;		/* of the base key it was derived from; 0: never */
	u32 blocks;
};
static DEFINE_PER_CPU(struct random_cpu, random_cpus);

/* [base.lock] key = H(key || counter || data || time), and out, if not NULL, another derived key. */
static void base_stir(const void *data, size_t n, u8 *out)
{
	u64 extra[3] = { ++base.counter, hal_cycles(), hal_clock_ns() };
	struct blake2s h;

	blake2s_init(&h, KEY_BYTES);
	blake2s_update(&h, base.key, KEY_BYTES);
	blake2s_update(&h, extra, sizeof(extra));
	blake2s_update(&h, data, n);
	if (out) {
		struct blake2s child = h;

		blake2s_update(&child, "cpu", 3);
		blake2s_final(&child, out);
	}
	blake2s_final(&h, base.key);
}

void random_mix(const void *data, size_t n)
{
	irqflags_t f = spin_lock_irqsave(&base.lock);

	base_stir(data, n, NULL);
	WRITE_ONCE(base.generation, base.generation + 1 ? base.generation + 1 : 1);
	spin_unlock_irqrestore(&base.lock, f);
}

/*
 * Entropy that comes little by little. Stirring in a few bits at a time, and giving out numbers between, would let somebody who
 * once knew the key follow it by trying out each portion. So portions gather in a pool of their own, and reach the base key
 * together, when they are credited with as much as the key is long.
 */
static struct {
	struct blake2s hash;	/* [base.lock] of what came since the last time */
	u32 bits;		/* [base.lock] credited */
	bool begun;		/* [base.lock] */
	u64 total_bits;		/* [base.lock] credited since boot */
} pool;

void random_add_entropy(const void *data, size_t n, u32 bits)
{
	u8 digest[KEY_BYTES];
	irqflags_t f = spin_lock_irqsave(&base.lock);

	if (!pool.begun)
		blake2s_init(&pool.hash, KEY_BYTES);
	pool.begun = true;
	blake2s_update(&pool.hash, data, n);
	bits = (u32)MIN((u64)bits, (u64)n * 8);
	pool.total_bits += bits;
	pool.bits = MIN(pool.bits + bits, KEY_BYTES * 8u);
	if (pool.bits == KEY_BYTES * 8u) {
		blake2s_final(&pool.hash, digest);
		pool.begun = false;
		pool.bits = 0;
		base_stir(digest, sizeof(digest), NULL);
		WRITE_ONCE(base.generation, base.generation + 1 ? base.generation + 1 : 1);
		memzero_explicit(digest, sizeof(digest));
	}
	spin_unlock_irqrestore(&base.lock, f);
}

u64 random_credited_bits(void)
{
	irqflags_t f = spin_lock_irqsave(&base.lock);
	u64 bits = pool.total_bits;

	spin_unlock_irqrestore(&base.lock, f);
	return bits;
}

u32 random_generation(void)
{
	return READ_ONCE(base.generation);
}

static void mix_hardware(void)
{
	u64 words[4] = { 0 };

	for (u32 i = 0; i < ARRAY_SIZE(words); i++)
		(void)!hal_random_seed(&words[i]);
	random_mix(words, sizeof(words));
	memzero_explicit(words, sizeof(words));
}

void random_reseed(void)
{
	mix_hardware();
}

void random_init(const void *seed, size_t n)
{
	random_mix(seed, n);
	mix_hardware();
	hash_set_key(random_u64(), random_u64());
}

/* Interrupts off. A fresh key when the old one is used up or out of date. */
static void cpu_refresh(struct random_cpu *r)
{
	u64 now = hal_clock_ns();

	if (likely(r->generation == READ_ONCE(base.generation) && r->blocks < RESEED_BLOCKS &&
		   now - r->seeded_ns < RESEED_NS))
		return;
	if (r->generation == READ_ONCE(base.generation))
		mix_hardware();
	spin_lock(&base.lock);
	base_stir(&r->key, KEY_BYTES, r->key);
	r->generation = base.generation;
	spin_unlock_no_resched(&base.lock);
	r->seeded_ns = now;
	r->blocks = 0;
	r->batch_left = 0;
}

/* Interrupts off. One block: half becomes the key, half is the caller's (KEY_BYTES). */
static void cpu_block(struct random_cpu *r, u8 out[KEY_BYTES])
{
	u8 block[CHACHA_BLOCK_BYTES];
	u32 state[16];

	cpu_refresh(r);
	chacha20_init(state, r->key, 0);
	chacha20_block(state, block);
	memcpy(r->key, block, KEY_BYTES);
	memcpy(out, block + KEY_BYTES, KEY_BYTES);
	memzero_explicit(block, sizeof(block));
	memzero_explicit(state, sizeof(state));
	r->blocks++;
}

/* Long requests take a key of their own and generate with interrupts on. */
static void random_stream(u8 *buf, size_t n)
{
	u8 key[KEY_BYTES], block[CHACHA_BLOCK_BYTES];
	irqflags_t f = hal_irq_save();
	u32 state[16];

	cpu_block(this_cpu_ptr(&random_cpus), key);
	hal_irq_restore(f);
	chacha20_init(state, key, 1);
	while (n) {
		size_t chunk = MIN(n, sizeof(block));

		chacha20_block(state, block);
		memcpy(buf, block, chunk);
		buf += chunk;
		n -= chunk;
	}
	memzero_explicit(key, sizeof(key));
	memzero_explicit(block, sizeof(block));
	memzero_explicit(state, sizeof(state));
}

void random_bytes(void *buf, size_t n)
{
	u8 half[KEY_BYTES];
	irqflags_t f;

	if (n > KEY_BYTES) {
		random_stream(buf, n);
		return;
	}
	f = hal_irq_save();
	cpu_block(this_cpu_ptr(&random_cpus), half);
	hal_irq_restore(f);
	memcpy(buf, half, n);
	memzero_explicit(half, sizeof(half));
}

u64 random_u64(void)
{
	irqflags_t f = hal_irq_save();
	struct random_cpu *r = this_cpu_ptr(&random_cpus);
	u64 v;

	cpu_refresh(r);
	if (!r->batch_left) {
		cpu_block(r, (u8 *)r->batch);
		cpu_block(r, (u8 *)r->batch + KEY_BYTES);
		r->batch_left = BATCH_WORDS;
	}
	v = r->batch[--r->batch_left];
	r->batch[r->batch_left] = 0;
	hal_irq_restore(f);
	return v;
}

/* Rejects the values at the top that would make small results more likely. */
u64 random_below(u64 limit)
{
	u64 v, cut;

	if (!limit)
		return 0;
	cut = -limit % limit;
	do {
		v = random_u64();
	} while (v < cut);
	return v % limit;
}
