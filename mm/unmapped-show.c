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
#include <linux/pageblock-flags.h>
#include <linux/pagemap.h>
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
	unsigned long nr_pcp;

	/* Most zones have none; skip them, as any user can read meminfo. */
	if (!READ_ONCE(uz->count.owned) && !READ_ONCE(uz->count.lost))
		return;

	nr_pcp = unmapped_pcp_count(uz);
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

/* === Counting by consumer ================================================ */

static void add_page(struct unmapped_consumer *consumers, const char *name)
{
	int i;

	for (i = 0; i < UNMAPPED_MAX_CONSUMERS - 1; i++)
		if (!consumers[i].nr_pages || !strcmp(consumers[i].name, name))
			break;
	if (!consumers[i].nr_pages)
		strscpy(consumers[i].name, name);
	consumers[i].nr_pages++;
}

/* If the file is truncated now, its inode is freed after a grace period. */
static const char *consumer_name(struct folio *folio, struct page *page)
{
	struct address_space *mapping = folio_mapping(folio);

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "the inode may be freed");

	/* memory_failure() keeps a reference for good. */
	if (PageHWPoison(page))
		return "poisoned";
	/* The kernel's own, or removed from its file while it is in use. */
	return mapping ? mapping->host->i_sb->s_type->name : "no_file";
}

/**
 * struct consumer_walk - what the pages of each area are counted for
 * @consumers: see unmapped_count_consumers().
 * @skip: likewise.
 */
struct consumer_walk {
	struct unmapped_consumer *consumers;
	bool (*skip)(const struct page *page);
};

static void count_page(const struct consumer_walk *walk, struct page *page,
		       const char *name)
{
	if (!(walk->skip && walk->skip(page)))
		add_page(walk->consumers, name);
}

/* Text has no file, and no other page can get one meanwhile. */
static void count_unreferenced(const struct consumer_walk *walk,
			       struct page *page)
{
	if (unmapped_page_used(page))
		count_page(walk, page, "no_file");
}

/* Pages of others are near a fragment, and their folios are of any kind. */
static void count_referenced(const struct consumer_walk *walk,
			     struct folio *folio, struct page *page)
{
	guard(rcu)();
	if (unmapped_page(page))
		count_page(walk, page, consumer_name(folio, page));
}

/*
 * Count the pages of a folio from @page on, at most @max. Returns how many they
 * are, 0 if the folio was split meanwhile.
 */
static unsigned long count_folio(const struct consumer_walk *walk,
				 struct page *page, unsigned long max)
{
	struct folio *folio = page_folio(page);
	unsigned long i, nr = 0;

	if (!unmapped_page(page))
		return 1;
	if (!folio_try_get(folio)) {
		count_unreferenced(walk, page);
		return 1;
	}

	if (page_folio(page) == folio)
		nr = min(max, folio_nr_pages(folio) -
			      folio_page_idx(folio, page));
	for (i = 0; i < nr; i++)
		count_referenced(walk, folio, page + i);
	folio_put(folio);
	return nr;
}

static void count_area(unsigned long pfn, unsigned long end, void *data)
{
	while (pfn < end)
		pfn += count_folio(data, pfn_to_page(pfn), end - pfn);
}

/* The span of a zone may have memory of another one in it. */
static bool has_unmapped_pages(const struct zone *zone, unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);

	return page && page_zone(page) == zone &&
	       get_pfnblock_flags(page, pfn) & UNMAPPED_PAGEBLOCK_MASK;
}

/*
 * Call @area for each pageblock that has pages of the allocator, until the task is
 * killed. The zone's first and last pageblock may not be in it as a whole.
 */
static void walk_zone(const struct zone *zone,
		      void (*area)(unsigned long pfn, unsigned long end,
				   void *data),
		      void *data)
{
	unsigned long pfn = zone->zone_start_pfn, end;

	for (; pfn < zone_end_pfn(zone) && !fatal_signal_pending(current);
	     pfn = end) {
		end = min(pageblock_end_pfn(pfn), zone_end_pfn(zone));
		if (has_unmapped_pages(zone, pfn))
			area(pfn, end, data);
		cond_resched();
	}
}

/**
 * unmapped_count_consumers() - count the pages in use by consumer
 * @consumers: array of UNMAPPED_MAX_CONSUMERS elements, zeroed.
 * @skip: returns true for pages that are not to be counted; may be NULL.
 *
 * Looks at all pages of the allocator, so it is not for frequent use.
 *
 * Context: Process context, may sleep.
 */
void unmapped_count_consumers(struct unmapped_consumer *consumers,
			      bool (*skip)(const struct page *page))
{
	struct consumer_walk walk = { consumers, skip };
	struct zone *zone;

	get_online_mems();
	for_each_populated_zone(zone)
		walk_zone(zone, count_area, &walk);
	put_online_mems();
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_count_consumers);

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

/* Blocks by how full they are: not at all, in eighths, all of it. */
#define NR_FULL_CLASSES		10

static unsigned int full_class(unsigned int nr_used)
{
	if (!nr_used)
		return 0;
	if (nr_used == UNMAPPED_BLOCK_PAGES)
		return NR_FULL_CLASSES - 1;
	return 1 + nr_used * 8 / UNMAPPED_BLOCK_PAGES;
}

static unsigned int class_min(unsigned int class)
{
	return class == 1 ? 1 : (class ? class - 1 : 0) * UNMAPPED_BLOCK_PAGES / 8;
}

/* The zone of a block knows its free chunks; pages of CPUs' lists are used. */
static void count_block(unsigned long pfn, unsigned long end, void *data)
{
	struct page *page = pfn_to_page(pfn), *last;
	unsigned int nr_used = 0, nr;
	unsigned long *blocks = data;

	/* A pageblock may be smaller than a block. */
	if (!IS_ALIGNED(pfn, UNMAPPED_BLOCK_PAGES))
		return;

	guard(spinlock_irqsave)(&unmapped_page_zone(page)->lock);
	if (unmapped_kind(page) != UNMAPPED_BLOCK)
		return;
	for (last = page + UNMAPPED_BLOCK_PAGES; page < last; page += nr) {
		nr = 1;
		if (PageUnmappedFree(page))
			nr = 1U << (page_private(page) & UNMAPPED_ORDER_MASK);
		else
			nr_used++;
	}
	blocks[full_class(nr_used)]++;
}

static void show_blocks(struct seq_file *m, struct zone *zone,
			struct unmapped_zone *uz)
{
	unsigned long blocks[NR_FULL_CLASSES] = {};
	int i;

	walk_zone(zone, count_block, blocks);
	show_zone_name(m, zone);
	seq_printf(m, "%*s", 20, "");
	for (i = 0; i < NR_FULL_CLASSES; i++)
		seq_printf(m, "%6lu ", blocks[i]);
	seq_putc(m, '\n');
}

/* Only of CPUs that have any. */
static void show_pcps(struct seq_file *m, struct zone *zone,
		      struct unmapped_zone *uz)
{
	unsigned int nr;
	int cpu;

	for_each_possible_cpu(cpu) {
		nr = READ_ONCE(per_cpu_ptr(uz->pcp, cpu)->count);
		if (!nr)
			continue;
		show_zone_name(m, zone);
		seq_printf(m, ", cpu %4d %30u\n", cpu, nr);
	}
}

#ifdef CONFIG_UNMAPPED_REPORTING
static void show_reported(struct seq_file *m, struct zone *zone,
			  struct unmapped_zone *uz)
{
	show_zone_name(m, zone);
	seq_printf(m, "%22lu\n", unmapped_zone_nr_reported(uz));
}
#endif

static void show_consumers(struct seq_file *m)
{
	struct unmapped_consumer consumers[UNMAPPED_MAX_CONSUMERS] = {};
	int i;

	unmapped_count_consumers(consumers, NULL);
	seq_puts(m, "\nPages in use by consumer\n");
	for (i = 0; i < ARRAY_SIZE(consumers) && consumers[i].nr_pages; i++)
		seq_printf(m, "%-16s %lu\n", consumers[i].name,
			   consumers[i].nr_pages);
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

/* Mappings that were dropped, and TLB flushes to remove them. */
static void show_vmaps(struct seq_file *m)
{
	seq_puts(m, "\nMappings for the kernel's own use\n");
	seq_printf(m, "dropped  %ld\nflushes  %ld\n",
		   atomic_long_read(&unmapped_vmap_drops),
		   atomic_long_read(&unmapped_vmap_flushes));
}

/* Length of a line, at most. */
#define MAX_LINE 128

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
	show_vmaps(m);

	seq_puts(m, "\nKernel text\n");
	for (i = 0; i < UNMAPPED_NR_TEXT; i++)
		seq_printf(m, "%-16s %ld\n", text_names[i],
			   unmapped_text_count(i));

	seq_printf(m, "\n%-43s ", "Blocks by pages in use, at least");
	for (i = 0; i < NR_FULL_CLASSES; i++)
		seq_printf(m, "%6u ", class_min(i));
	seq_putc(m, '\n');
	get_online_mems();
	show_caches(m, show_blocks);
	put_online_mems();

	seq_puts(m, "\nFree pages on per-CPU lists\n");
	show_caches(m, show_pcps);

#ifdef CONFIG_UNMAPPED_REPORTING
	seq_puts(m, "\nFree pages reported to the hypervisor\n");
	show_caches(m, show_reported);
#endif

	show_consumers(m);
	return 0;
}

/* If the buffer is too small, seq_file does it all again with a larger one. */
static int unmapped_alloc_open(struct inode *inode, struct file *file)
{
	size_t caches = num_online_nodes() * UNMAPPED_NR_ZONES;
	/* Most CPUs have pages of one zone, the nearest. */
	size_t lines = 64 + 8 * caches + num_possible_cpus();

	return single_open_size(file, unmapped_alloc_show, NULL,
				PAGE_ALIGN(lines * MAX_LINE));
}

static const struct file_operations unmapped_alloc_fops = {
	.owner		= THIS_MODULE,
	.open		= unmapped_alloc_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= single_release,
};

/**
 * unmapped_alloc_show_mem() - print a line for each node for show_mem()
 * @nodemask: the nodes, NULL for all of them.
 *
 * Context: Any context except NMI.
 */
void unmapped_alloc_show_mem(const nodemask_t *nodemask)
{
	struct unmapped_count count;
	int nid;

	if (!unmapped_alloc_available())
		return;

	for_each_online_node(nid) {
		if (nodemask && !node_isset(nid, *nodemask))
			continue;
		unmapped_alloc_count(nid, &count);
		if (count.owned)
			pr_info("Node %d %lu pages unmapped, %lu of them cached\n",
				nid, count.owned, count.cached);
	}
}

bool unmapped_page_used(const struct page *page)
{
	/* Of a block of kernel text, only the first page has a reference. */
	return page_ref_count(compound_head(page)) ||
	       unmapped_image_allowed(page);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_page_used);

void unmapped_alloc_meminfo(int nid, unsigned long *nr_pages,
			    unsigned long *nr_free)
{
	struct unmapped_count count;
	int i;

	*nr_pages = 0;
	*nr_free = 0;
	if (!unmapped_alloc_is_used())
		return;

	for_each_online_node(i) {
		if (nid != NUMA_NO_NODE && nid != i)
			continue;
		unmapped_alloc_count(i, &count);
		*nr_pages += count.owned;
		*nr_free += count.cached;
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

	/* What was reported is not zero. */
	if (UNMAPPED_REPORTED &&
	    (page_private(page) & UNMAPPED_STATE) == UNMAPPED_STATE)
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
	unsigned long nr = 0, reported = 0;
	struct page *page;

	lockdep_assert_held(&uz->lock);

	list_for_each_entry(page, &uz->free[kind][order], buddy_list) {
		if (!PageUnmappedFree(page) || !state_is_good(page, kind, order) ||
		    !free_page_is_good(page, uz))
			return ULONG_MAX;
		nr++;
		reported += !!(page_private(page) & UNMAPPED_REPORTED);
	}
	return nr == uz->nr_free[kind][order] &&
	       reported == uz->nr_reported[kind][order] ? nr << order :
							  ULONG_MAX;
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
