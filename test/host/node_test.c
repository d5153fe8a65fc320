/* SPDX-License-Identifier: MIT */
/*
 * kernel/mm/node.c on a machine of up to eight nodes that is made up here: which node is asked first, which section is whose.
 * QEMU's machines of two nodes (ring matrix) have only one order to get right.
 */
#include <hal/cpu.h>
#include <kernel/core/log.h>
#include <lib/string.h>
#include "../../kernel/mm/internal.h"
#include "framework.h"

#define NODES	8u
#define SECTIONS 64u
#define SECTION_BYTES (SECTION_PAGES << PAGE_SHIFT)

static u32 nodes, nr_ranges;
static u8 distance[NODES][NODES];
static struct { paddr_t base; u64 bytes; u32 node; } ranges[8];
static u8 section_node[SECTIONS];
static struct hal_percpu cpu0;
struct hal_percpu *volatile host_cpu;

/* ---- the machine, and the rest of mm ---- */

u32 hal_numa_nodes(void) { return nodes; }
u32 hal_numa_node_of_cpu(u32 cpu) { return cpu % nodes; }
u32 hal_numa_distance(u32 a, u32 b) { return distance[a][b]; }

bool hal_numa_memory(u32 i, paddr_t *base, u64 *bytes, u32 *node)
{
	if (i >= nr_ranges)
		return false;
	*base = ranges[i].base;
	*bytes = ranges[i].bytes;
	*node = ranges[i].node;
	return true;
}

u64 frame_pfn_end(void) { return SECTIONS << SECTION_ORDER; }
u64 frame_node_total(u32 node) { return node == 3 ? 0 : 100 + node; }
u64 frame_node_unbuilt(u32 node) { return node; }
u64 buddy_node_free(u32 node) { return node == 1 ? 500 : 10; }
void frame_numa_init(void) { }
void buddy_init_node(u32 node) { EXPECT(node && node < nodes); }
void buddy_rehome(void) { }
void buddy_set_cpu_node(u32 cpu, u32 node) { EXPECT(!cpu && !node); }
void log_printf(int level, const char *fmt, ...) { (void)level, (void)fmt; }

static void boot(u32 n)
{
	host_cpu = &cpu0;
	nodes = n;
	nr_ranges = 0;
	memset(section_node, 0, sizeof(section_node));
	node_boot(section_node);
}

/* All nodes equally far but for these pairs. */
static void far_apart(u8 usual)
{
	memset(distance, usual, sizeof(distance));
	for (u32 i = 0; i < NODES; i++)
		distance[i][i] = HAL_NODE_LOCAL;
}

static void expect_order(u32 near, const char *want)
{
	for (u32 k = 0; want[k]; k++)
		EXPECT_EQ(node_order(near, k), (u32)(want[k] - '0'));
}

/* ---- tests ---- */

/* Two packages of two nodes each, as on a big AMD: near ones of the own package first. */
TEST(node_order_is_by_distance)
{
	boot(4);
	far_apart(32);
	distance[0][2] = distance[2][0] = distance[1][3] = distance[3][1] = 12;
	distance[3][0] = 20;	/* and one way is shorter than the way back */
	mm_numa_init();
	expect_order(0, "0213");
	expect_order(1, "1320");
	expect_order(2, "2031");
	expect_order(3, "3102");
}

/* Those that are equally far are asked in a row that begins behind the asker: not everybody leans on node 0. */
TEST(node_order_of_equals)
{
	boot(4);
	far_apart(20);
	mm_numa_init();
	expect_order(0, "0123");
	expect_order(1, "1230");
	expect_order(3, "3012");
}

/* Whatever the distances, each node is named once, itself first, and none before a nearer one. */
TEST(node_order_of_anything)
{
	for (u32 round = 0; round < 2000 && !test_failed(); round++) {
		boot(2 + (u32)random_below(NODES - 1));
		for (u32 a = 0; a < nodes; a++)
			for (u32 b = 0; b < nodes; b++)
				distance[a][b] = a == b ? HAL_NODE_LOCAL : (u8)(HAL_NODE_LOCAL + 1 + random_below(5));
		mm_numa_init();
		for (u32 a = 0; a < nodes; a++) {
			u64 seen = 0;

			EXPECT_EQ(node_order(a, 0), a);
			for (u32 k = 0; k < nodes; k++) {
				seen |= 1ull << node_order(a, k);
				EXPECT(!k || distance[a][node_order(a, k)] >= distance[a][node_order(a, k - 1)]);
			}
			EXPECT_EQ(seen, (1ull << nodes) - 1);
		}
	}
}

/* A section is of the node of its first byte that firmware places; what nobody places is node 0's. */
TEST(node_sections)
{
	boot(4);
	far_apart(20);
	nr_ranges = 4;
	ranges[0].base = 0;
	ranges[0].bytes = 4 * SECTION_BYTES + MIB;	/* the fifth section is shared: the first has it */
	ranges[0].node = 2;
	ranges[1].base = 4 * SECTION_BYTES + MIB;
	ranges[1].bytes = 4 * SECTION_BYTES;
	ranges[1].node = 1;
	ranges[2].base = 20 * SECTION_BYTES;
	ranges[2].bytes = 2 * MIB;			/* less than a section */
	ranges[2].node = 3;
	ranges[3].base = 62 * SECTION_BYTES;
	ranges[3].bytes = 100 * SECTION_BYTES;		/* beyond what the frame table knows */
	ranges[3].node = 1;
	mm_numa_init();
	for (u32 i = 0; i < SECTIONS; i++)
		EXPECT_EQ(section_node[i], i < 5 ? 2u : i < 9 ? 1u : i == 20 ? 3u : i >= 62 ? 1u : 0u);
}

TEST(node_figures)
{
	struct mm_node_stats s;

	boot(4);
	far_apart(21);
	mm_numa_init();
	EXPECT_EQ(mm_node_count(), 4);
	EXPECT_EQ(mm_nodes_with_memory(), 0x7);
	EXPECT_EQ(mm_node_of_cpu(6), 2);
	EXPECT_EQ(mm_node_distance(1, 2), 21);
	mm_node_stats(2, &s);
	EXPECT(s.total == 102 && s.free == 12);
	mm_node_stats(1, &s);
	EXPECT(s.total == 101 && s.free == 101);	/* never more than there is */
}
