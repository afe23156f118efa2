// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: what it tells about itself, in
 * /sys/kernel/debug/unmapped_alloc, in the manner of /proc/pagetypeinfo, and in
 * the report of what memory is used for when there is none left.
 */

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/unmapped_alloc.h>

#include "unmapped-alloc.h"

static const char * const kind_names[] = {
	[UNMAPPED_BLOCK]	= "Block",
	[UNMAPPED_FRAGMENT]	= "Fragment",
	[UNMAPPED_NOZERO]	= "Nozero",
};

static_assert(ARRAY_SIZE(kind_names) == UNMAPPED_NR_KINDS);

static const char * const event_names[] = {
	[UNMAPPED_REFILL_BLOCK]		= "refill_block",
	[UNMAPPED_REFILL_FRAGMENT]	= "refill_fragment",
	[UNMAPPED_REFILL_FAIL]		= "refill_fail",
	[UNMAPPED_RELEASE_BLOCK]	= "release_block",
	[UNMAPPED_RELEASE_FRAGMENT]	= "release_fragment",
	[UNMAPPED_RELEASE_FAIL]		= "release_fail",
	[UNMAPPED_TLB_FLUSH]		= "tlb_flush",
	[UNMAPPED_AREA_SPLIT]		= "area_split",
};

static_assert(ARRAY_SIZE(event_names) == UNMAPPED_NR_EVENTS);

/* Call @show for each populated zone that the allocator can use. */
static void show_caches(struct seq_file *m,
			void (*show)(struct seq_file *m, struct zone *zone,
				     struct unmapped_zone *uz))
{
	struct zone *zone;

	for_each_populated_zone(zone)
		if (zone_idx(zone) < UNMAPPED_NR_ZONES)
			show(m, zone, &unmapped_node(zone_to_nid(zone))->
					zones[zone_idx(zone)]);
}

static void show_zone_name(struct seq_file *m, struct zone *zone)
{
	seq_printf(m, "Node %4d, zone %8s", zone_to_nid(zone), zone->name);
}

static void show_free(struct seq_file *m, struct zone *zone,
		      struct unmapped_zone *uz)
{
	int kind, order;

	for (kind = 0; kind < UNMAPPED_NR_KINDS; kind++) {
		show_zone_name(m, zone);
		seq_printf(m, ", type %12s ", kind_names[kind]);
		for (order = 0; order <= PMD_ORDER; order++)
			seq_printf(m, "%6lu ",
				   READ_ONCE(uz->nr_free[kind][order]));
		seq_putc(m, '\n');
	}
}

static void show_pages(struct seq_file *m, struct zone *zone,
		       struct unmapped_zone *uz)
{
	struct unmapped_count count = {};

	unmapped_zone_count(uz, &count);

	show_zone_name(m, zone);
	seq_printf(m, "%22lu %10lu %10lu %10lu %10lu\n", count.owned,
		   count.used, count.cached, count.transit, count.lost);
}

static int unmapped_alloc_show(struct seq_file *m, void *v)
{
	int i;

	seq_printf(m, "Block order:     %d\n", PMD_ORDER);
	seq_printf(m, "Pages per block: %lu\n", UNMAPPED_BLOCK_PAGES);

	seq_printf(m, "\n%-43s ", "Free pages count per kind at order");
	for (i = 0; i <= PMD_ORDER; i++)
		seq_printf(m, "%6d ", i);
	seq_putc(m, '\n');
	show_caches(m, show_free);

	seq_printf(m, "\n%-23s%22s %10s %10s %10s %10s\n", "Number of pages",
		   "Owned", "Used", "Cached", "Transit", "Lost");
	show_caches(m, show_pages);

	seq_puts(m, "\nEvents\n");
	for (i = 0; i < UNMAPPED_NR_EVENTS; i++)
		seq_printf(m, "%-16s %lu\n", event_names[i],
			   unmapped_event_count(i));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(unmapped_alloc);

/**
 * unmapped_alloc_show_mem() - a line for show_mem()
 *
 * Context: Any context except NMI.
 */
void unmapped_alloc_show_mem(void)
{
	struct unmapped_count node, sum = {};
	int nid;

	if (!unmapped_alloc_available())
		return;

	for_each_online_node(nid) {
		unmapped_alloc_count(nid, &node);
		sum.owned += node.owned;
		sum.cached += node.cached;
	}
	pr_info("%lu pages unmapped, %lu of them cached\n", sum.owned, sum.cached);
}

static int __init unmapped_alloc_debugfs_init(void)
{
	if (unmapped_alloc_available())
		debugfs_create_file("unmapped_alloc", 0400, NULL, NULL,
				    &unmapped_alloc_fops);
	return 0;
}
late_initcall(unmapped_alloc_debugfs_init);
