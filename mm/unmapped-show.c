// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: page counts for /sys/kernel/debug/unmapped_alloc,
 * which is formatted like /proc/pagetypeinfo, and for show_mem(); and checks
 * for the tests that lists and counters agree.
 */

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/mmzone.h>
#include <linux/pagewalk.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/unmapped_alloc.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include <kunit/visibility.h>

#include "unmapped-alloc.h"

/* === Counting ============================================================ */

static void count_zone(struct unmapped_zone *uz, struct unmapped_count *sum)
{
	unsigned long nr_pcp = unmapped_pcp_count(uz);

	guard(spinlock_irqsave)(&uz->lock);
	/* A page that moved to another CPU's list may be counted twice. */
	nr_pcp = min(nr_pcp, uz->count.used);
	sum->owned += uz->count.owned;
	sum->used += uz->count.used - nr_pcp;
	sum->cached += uz->count.cached + nr_pcp;
	sum->transit += uz->count.transit;
	sum->lost += uz->count.lost;
}

/**
 * unmapped_alloc_count() - add up the pages of a node by state
 * @nid: the node.
 * @sum: set to the sums.
 *
 * Context: Any context except NMI.
 */
void unmapped_alloc_count(int nid, struct unmapped_count *sum)
{
	int i;

	*sum = (struct unmapped_count){};
	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		count_zone(&unmapped_node(nid)->zones[i], sum);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_count);

/* === Showing ============================================================= */

static const char * const kind_names[] = {
	[UNMAPPED_BLOCK]	= "Block",
	[UNMAPPED_FRAGMENT]	= "Fragment",
};

static_assert(ARRAY_SIZE(kind_names) == UNMAPPED_NR_KINDS);

static const char * const text_names[] = {
	[UNMAPPED_TEXT_BYTES]		= "text_unmapped",
	[UNMAPPED_TEXT_FALLBACK]	= "text_fallback",
	[UNMAPPED_TEXT_BLOCKS]		= "text_block",
};

static_assert(ARRAY_SIZE(text_names) == UNMAPPED_NR_TEXT);

atomic_long_t unmapped_text[UNMAPPED_NR_TEXT];
EXPORT_SYMBOL_IF_KUNIT(unmapped_text);

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

	count_zone(uz, &count);

	show_zone_name(m, zone);
	seq_printf(m, "%22lu %10lu %10lu %10lu %10lu\n", count.owned,
		   count.used, count.cached, count.transit, count.lost);
}

/* As in /proc/vmstat, but without the prefix. */
static void show_events(struct seq_file *m)
{
#ifdef CONFIG_VM_EVENT_COUNTERS
	const size_t prefix = strlen("unmapped_");
	unsigned long *events;
	int i;

	events = kmalloc_array(NR_VM_EVENT_ITEMS, sizeof(*events), GFP_KERNEL);
	if (!events)
		return;

	all_vm_events(events);
	seq_puts(m, "\nEvents\n");
	for (i = UNMAPPED_REFILL_BLOCK; i <= UNMAPPED_HEAL; i++)
		seq_printf(m, "%-16s %lu\n", vm_event_name(i) + prefix,
			   events[i]);
	kfree(events);
#endif
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

	show_events(m);

	seq_puts(m, "\nKernel text\n");
	for (i = 0; i < UNMAPPED_NR_TEXT; i++)
		seq_printf(m, "%-16s %ld\n", text_names[i],
			   unmapped_text_count(i));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(unmapped_alloc);

/**
 * unmapped_alloc_show_mem() - print a line for each node for show_mem()
 *
 * Context: Any context except NMI.
 */
void unmapped_alloc_show_mem(void)
{
	struct unmapped_count count;
	int nid;

	if (!unmapped_alloc_available())
		return;

	for_each_online_node(nid) {
		unmapped_alloc_count(nid, &count);
		if (count.owned)
			pr_info("Node %d %lu pages unmapped, %lu of them cached\n",
				nid, count.owned, count.cached);
	}
}

/* === Checking ============================================================ */

static bool free_page_is_good(const struct page *page,
			      const struct unmapped_zone *uz)
{
	return !page_ref_count(page) && unmapped_kind(page) != UNMAPPED_NONE &&
	       unmapped_page_zone(page) == uz;
}

static bool state_is_good(const struct page *page, enum unmapped_kind kind,
			  unsigned int order)
{
	if ((page_private(page) & UNMAPPED_ORDER_MASK) != order)
		return false;

	/* A block's chunks stay on its list for a moment when it is split up. */
	if (kind == UNMAPPED_BLOCK)
		return !(page_private(page) & UNMAPPED_ON_FRAGMENTS);
	return (page_private(page) & UNMAPPED_ON_FRAGMENTS) &&
	       unmapped_kind(page) == UNMAPPED_FRAGMENT;
}

/* Walk one list; returns the pages on it, or ULONG_MAX if an entry is bad. */
static unsigned long check_list_locked(struct unmapped_zone *uz,
				       enum unmapped_kind kind,
				       unsigned int order)
{
	unsigned long nr = 0;
	struct page *page;

	lockdep_assert_held(&uz->lock);

	list_for_each_entry(page, &uz->free[kind][order], buddy_list) {
		if (!PageUnmappedFree(page) || !state_is_good(page, kind, order) ||
		    !free_page_is_good(page, uz))
			return ULONG_MAX;
		nr++;
	}
	return nr == uz->nr_free[kind][order] ? nr << order : ULONG_MAX;
}

static bool check_pcp(struct unmapped_zone *uz, struct unmapped_pcp *pcp)
{
	struct page *page;
	unsigned int nr = 0;

	guard(raw_spinlock_irqsave)(&pcp->lock);
	llist_for_each_entry(page, pcp->head, pcp_llist) {
		if (PageUnmappedFree(page) || !free_page_is_good(page, uz))
			return false;
		nr++;
	}
	return nr == pcp->count;
}

static bool check_zone(struct unmapped_zone *uz)
{
	struct unmapped_count *count = &uz->count;
	unsigned long nr, cached = 0;
	int kind, order, cpu;

	for_each_possible_cpu(cpu)
		if (!check_pcp(uz, per_cpu_ptr(uz->pcp, cpu)))
			return false;

	guard(spinlock_irqsave)(&uz->lock);
	for (kind = 0; kind < UNMAPPED_NR_KINDS; kind++) {
		for (order = 0; order <= PMD_ORDER; order++) {
			nr = check_list_locked(uz, kind, order);
			if (nr == ULONG_MAX)
				return false;
			cached += nr;
		}
	}
	return cached == count->cached &&
	       count->owned == count->used + count->cached + count->transit;
}

/**
 * unmapped_alloc_check() - do a node's lists and counters agree?
 * @nid: the node.
 *
 * Walks all free lists with interrupts off, so it is for tests only.
 *
 * Context: Any context except NMI.
 * Return: true if they agree.
 */
bool unmapped_alloc_check(int nid)
{
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		if (!check_zone(&unmapped_node(nid)->zones[i]))
			return false;
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_check);

#if IS_ENABLED(CONFIG_KUNIT) && defined(CONFIG_X86_64)
/* Counts for unmapped_count_mappings(). */
struct mappings {
	unsigned long nr_seen;
	unsigned long nr_unmapped;
};

/* Kernel text is mapped by its owner, in the area that execmem made for it. */
static bool is_text(unsigned long addr, unsigned long pfn)
{
	struct vm_struct *area;
	unsigned long i;

	if (addr < MODULES_VADDR || addr >= MODULES_END)
		return false;

	area = find_vm_area((void *)addr);
	if (!area || !area->pages)
		return false;
	i = (addr - (unsigned long)area->addr) >> PAGE_SHIFT;
	return i < area->nr_pages && page_to_pfn(area->pages[i]) == pfn;
}

static void look_at(struct mappings *m, unsigned long addr, unsigned long pfn,
		    unsigned long nr)
{
	struct page *page;

	m->nr_seen++;
	if (is_text(addr, pfn))
		return;
	for (; nr; nr--, pfn++) {
		page = pfn_to_online_page(pfn);
		/* The direct map has memory of the firmware, which is in no zone. */
		if (page && zone_spans_pfn(page_zone(page), pfn))
			m->nr_unmapped += unmapped_page(page);
	}
}

static int look_at_pud(pud_t *pud, unsigned long addr, unsigned long next,
		       struct mm_walk *walk)
{
	pud_t val = READ_ONCE(*pud);

	if (pud_leaf(val)) {
		if (pud_present(val))
			look_at(walk->private, addr & PUD_MASK, pud_pfn(val),
				PUD_SIZE >> PAGE_SHIFT);
		walk->action = ACTION_CONTINUE;
	}
	return 0;
}

static int look_at_pmd(pmd_t *pmd, unsigned long addr, unsigned long next,
		       struct mm_walk *walk)
{
	pmd_t val = READ_ONCE(*pmd);

	if (pmd_leaf(val)) {
		if (pmd_present(val))
			look_at(walk->private, addr & PMD_MASK, pmd_pfn(val),
				UNMAPPED_BLOCK_PAGES);
		walk->action = ACTION_CONTINUE;
	}
	return 0;
}

static int look_at_pte(pte_t *pte, unsigned long addr, unsigned long next,
		       struct mm_walk *walk)
{
	struct mappings *m = walk->private;
	pte_t val = ptep_get(pte);
	unsigned long before = m->nr_unmapped;

	if (pte_present(val))
		look_at(m, addr, pte_pfn(val), 1);
	/* If the entry is gone, the allocator may have got the page since. */
	if (!pte_same(val, ptep_get(pte)))
		m->nr_unmapped = before;
	return 0;
}

static const struct mm_walk_ops mapping_ops = {
	.pud_entry = look_at_pud,
	.pmd_entry = look_at_pmd,
	.pte_entry = look_at_pte,
};

/**
 * unmapped_count_mappings() - look for mappings of the allocator's pages
 * @direct_map: search the direct map, too. Only valid while nothing else uses
 *	the allocator: chunks on their way to or from the page allocator are
 *	mapped there.
 * @nr_seen: set to the number of present entries that were examined.
 *
 * Searches all kernel page tables that map memory; for tests only.
 *
 * Context: Process context, may sleep.
 * Return: number of mappings.
 */
unsigned long unmapped_count_mappings(bool direct_map, unsigned long *nr_seen)
{
	const struct {
		unsigned long start;
		unsigned long end;
	} ranges[] = {
		{ VMALLOC_START, VMALLOC_END },
		{ __START_KERNEL_map, MODULES_END },
		{ FIXADDR_START, FIXADDR_TOP },
		{ PAGE_OFFSET, (unsigned long)high_memory },
	};
	struct mappings m = {};
	int i;

	get_online_mems();
	for (i = 0; i < ARRAY_SIZE(ranges) - !direct_map; i++) {
		guard(mmap_write_lock)(&init_mm);
		walk_kernel_page_table_range(ranges[i].start, ranges[i].end,
					     &mapping_ops, NULL, &m);
	}
	put_online_mems();
	*nr_seen = m.nr_seen;
	return m.nr_unmapped;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_count_mappings);
#endif

/* === Boot ================================================================ */

static int __init unmapped_alloc_debugfs_init(void)
{
	if (unmapped_alloc_available())
		debugfs_create_file("unmapped_alloc", 0400, NULL, NULL,
				    &unmapped_alloc_fops);
	return 0;
}
late_initcall(unmapped_alloc_debugfs_init);
