// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: giving memory back to the page allocator.
 *
 * - A shrinker gives back what memory pressure asks for: whole blocks, those
 *   first that have been free for longest, then fragments.
 * - What nobody asked for during a whole period goes back without pressure.
 * - Before a process is killed for memory, all that is free goes back. Only
 *   then blocks that are in use partly are broken: mapping a part of a block
 *   splits its entry of the direct map.
 */

#define pr_fmt(fmt) "unmapped_alloc: " fmt

#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/suspend.h>
#include <linux/swap.h>

#include <kunit/visibility.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped-alloc.h"

/* Chunks that are given back in one go. */
#define UNMAPPED_RELEASE_BATCH	16

/* How long nobody must have asked for memory, for it to be idle. */
#define UNMAPPED_IDLE_PERIOD	(5 * HZ)

/**
 * struct release - chunks on their way to the page allocator
 * @page: first pages.
 * @order: their orders.
 * @nr: number of chunks.
 * @nr_pages: number of pages.
 */
struct release {
	struct page *page[UNMAPPED_RELEASE_BATCH];
	unsigned char order[UNMAPPED_RELEASE_BATCH];
	unsigned int nr;
	unsigned long nr_pages;
};

/* Take chunks off the lists and map them. Returns false if that failed. */
static bool collect(struct unmapped_zone *uz, unsigned long nr_pages,
		    bool all, struct release *r)
{
	unsigned int order;
	struct page *page;
	int err;

	r->nr = 0;
	r->nr_pages = 0;
	while (r->nr < UNMAPPED_RELEASE_BATCH && r->nr_pages < nr_pages) {
		page = unmapped_zone_isolate(uz, all, &order);
		if (!page)
			break;
		err = unmapped_map_restore(page, order);
		if (err) {
			unmapped_count_event(UNMAPPED_RELEASE_FAIL);
			unmapped_zone_unisolate(uz, page, order,
						err == -ENOTRECOVERABLE);
			return false;
		}
		r->page[r->nr] = page;
		r->order[r->nr++] = order;
		r->nr_pages += 1UL << order;
	}
	return true;
}

static void give_back(struct unmapped_zone *uz, struct page *page,
		      unsigned int order)
{
	if (unmapped_kind(page) == UNMAPPED_NOZERO)
		clear_pages(page_address(page), 1U << order);
	/* From here on the page allocator's free path must let it pass. */
	unmapped_disown(page, order);
	unmapped_zone_release(uz, order);
	unmapped_check_in(page, order);
	free_frozen_pages(page, order);
	unmapped_count_event(order == PMD_ORDER ? UNMAPPED_RELEASE_BLOCK :
						  UNMAPPED_RELEASE_FRAGMENT);
}

/* Give back at least @nr_pages, or what there is; returns how many. */
static unsigned long release_pages_of(struct unmapped_zone *uz,
				      unsigned long nr_pages, bool all)
{
	unsigned long freed = 0;
	struct release r;
	unsigned int i;
	bool good;

	do {
		good = collect(uz, nr_pages - freed, all, &r);
		unmapped_map_collapse(r.page, r.nr);
		for (i = 0; i < r.nr; i++)
			give_back(uz, r.page[i], r.order[i]);
		mm_account_reclaimed_pages(r.nr_pages);
		freed += r.nr_pages;
		cond_resched();
	} while (good && r.nr && freed < nr_pages);

	return freed;
}

static unsigned long release_node(int nid, unsigned long nr_pages)
{
	struct unmapped_node *node = unmapped_node(nid);
	unsigned long freed = 0;
	int i;

	for (i = UNMAPPED_NR_ZONES - 1; i >= 0 && freed < nr_pages; i--)
		freed += release_pages_of(&node->zones[i], nr_pages - freed,
					  true);
	return freed;
}

static void drain_pcps(int nid)
{
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		unmapped_drain_pcp(&unmapped_node(nid)->zones[i]);
}

/**
 * unmapped_alloc_drain() - give back all that can be given back
 * @nid: of which node.
 *
 * Context: Process context, may sleep.
 * Return: number of pages given back.
 */
unsigned long unmapped_alloc_drain(int nid)
{
	drain_pcps(nid);
	return release_node(nid, ULONG_MAX);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_drain);

/* === Shrinker ============================================================ */

static unsigned long nr_releasable(struct unmapped_zone *uz)
{
	unsigned long nr;
	int order;

	if (!READ_ONCE(uz->count.owned))
		return 0;

	nr = READ_ONCE(uz->nr_free[UNMAPPED_BLOCK][PMD_ORDER]) << PMD_ORDER;
	nr += READ_ONCE(uz->nr_free[UNMAPPED_NOZERO][PMD_ORDER]) << PMD_ORDER;
	for (order = 0; order < PMD_ORDER; order++)
		nr += READ_ONCE(uz->nr_free[UNMAPPED_FRAGMENT][order]) << order;
	/* Any of these may be all that keeps a block from being whole. */
	return nr + unmapped_zone_nr_pcp(uz);
}

static unsigned long count_releasable(struct shrinker *shrinker,
				      struct shrink_control *sc)
{
	unsigned long nr = 0;
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		nr += nr_releasable(&unmapped_node(sc->nid)->zones[i]);
	return nr ? nr : SHRINK_EMPTY;
}

static unsigned long scan_releasable(struct shrinker *shrinker,
				     struct shrink_control *sc)
{
	unsigned long freed = release_node(sc->nid, sc->nr_to_scan);

	if (freed < sc->nr_to_scan) {
		drain_pcps(sc->nid);
		freed += release_node(sc->nid, sc->nr_to_scan - freed);
	}
	sc->nr_scanned = freed;
	return freed ? freed : SHRINK_STOP;
}

static int __init init_shrinker(void)
{
	struct shrinker *shrinker;

	shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE, "mm-unmapped_alloc");
	if (!shrinker)
		return -ENOMEM;

	shrinker->count_objects = count_releasable;
	shrinker->scan_objects = scan_releasable;
	shrinker->batch = UNMAPPED_BLOCK_PAGES;
	shrinker_register(shrinker);
	return 0;
}

/* === Idle ================================================================ */

static void release_idle(struct unmapped_zone *uz)
{
	unsigned long nr_idle;
	bool taken;

	scoped_guard(spinlock_irqsave, &uz->lock) {
		taken = uz->nr_taken != uz->nr_taken_before;
		uz->nr_taken_before = uz->nr_taken;
		nr_idle = uz->nr_idle;
		uz->nr_idle = uz->nr_free[UNMAPPED_BLOCK][PMD_ORDER];
	}

	if (!taken) {
		unmapped_drain_pcp(uz);
		release_pages_of(uz, ULONG_MAX, true);
	} else if (nr_idle) {
		release_pages_of(uz, nr_idle << PMD_ORDER, false);
	}
}

static bool owns_memory(struct unmapped_node *node)
{
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		if (READ_ONCE(node->zones[i].count.owned))
			return true;
	return false;
}

static void idle_work(struct work_struct *work)
{
	struct unmapped_node *node = container_of(to_delayed_work(work),
						  struct unmapped_node,
						  idle_work);
	int i;

	scoped_guard(mutex, &node->refill_lock)
		if (time_after_eq(jiffies, node->refilled + UNMAPPED_IDLE_PERIOD))
			WRITE_ONCE(node->batch, 1);

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		release_idle(&node->zones[i]);

	if (owns_memory(node))
		unmapped_release_wake(node);
}

/**
 * unmapped_release_wake() - there is memory that may become idle
 * @node: whose memory.
 *
 * Context: Any context except NMI.
 */
void unmapped_release_wake(struct unmapped_node *node)
{
	queue_delayed_work(system_dfl_wq, &node->idle_work,
			   UNMAPPED_IDLE_PERIOD);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_release_wake);

/* === Last resort, and those who need the memory mapped ==================== */

/* No more than needed: who is still short then will be back. */
static unsigned long break_blocks(int nid)
{
	struct unmapped_node *node = unmapped_node(nid);
	unsigned long freed = 0;
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		while (freed < UNMAPPED_BLOCK_PAGES &&
		       unmapped_zone_break_block(&node->zones[i]))
			freed += release_pages_of(&node->zones[i], ULONG_MAX,
						  true);
	return freed;
}

static int release_before_oom_kill(struct notifier_block *nb,
				   unsigned long action, void *data)
{
	/* A page table may be needed, and must not wait for what we do. */
	unsigned int noreclaim = memalloc_noreclaim_save();
	unsigned long *nr_freed = data, freed = 0;
	int nid;

	for_each_online_node(nid)
		freed += unmapped_alloc_drain(nid);
	if (!freed)
		for_each_online_node(nid)
			freed += break_blocks(nid);
	memalloc_noreclaim_restore(noreclaim);
	*nr_freed += freed;
	return NOTIFY_OK;
}

static struct notifier_block oom_notifier = {
	.notifier_call = release_before_oom_kill,
};

/* Give everything back, if nothing is in use. Returns what is still owned. */
static unsigned long drain_all_of(int nid)
{
	struct unmapped_count count;

	unmapped_alloc_drain(nid);
	unmapped_alloc_count(nid, &count);
	if (count.owned && !count.used) {
		/* The rest of blocks that lost a page. */
		while (break_blocks(nid))
			;
		unmapped_alloc_count(nid, &count);
	}
	return count.owned;
}

static unsigned long drain_all_nodes(void)
{
	unsigned long owned = 0;
	int nid;

	/* A CPU's batch of folios may have the last reference to some. */
	lru_add_drain_all();
	for_each_online_node(nid)
		owned += drain_all_of(nid);
	return owned;
}

/*
 * The image of a hibernating system is read through the direct map, and goes to
 * a disk: what is kept out of the one does not belong on the other. From here
 * on no page can be had until the image is made, or the attempt given up; who
 * waits for one in a page fault tries again until then.
 */
VISIBLE_IF_KUNIT int unmapped_prepare_for_image(struct notifier_block *nb,
						unsigned long action,
						void *data)
{
	unsigned long owned;

	switch (action) {
	case PM_HIBERNATION_PREPARE:
		unmapped_refill_stop(true);
		/* With nothing left and no refills, nothing can be handed out. */
		owned = drain_all_nodes();
		if (!owned)
			break;
		unmapped_refill_stop(false);
		pr_info("no hibernation, %lu pages must not be in the image\n",
			owned);
		return notifier_from_errno(-EBUSY);
	case PM_POST_HIBERNATION:
		unmapped_refill_stop(false);
		break;
	}
	return NOTIFY_OK;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_prepare_for_image);

static void each_area(const struct memory_notify *range, enum pageblock_bits bit,
		      void (*what)(struct page *page))
{
	unsigned long pfn = range->start_pfn;
	struct page *page;

	for (; pfn < range->start_pfn + range->nr_pages;
	     pfn += UNMAPPED_BLOCK_PAGES) {
		page = pfn_to_page(pfn);
		if (get_pfnblock_flags(page, pfn) & BIT(bit))
			what(page);
	}
}

static void break_block(struct page *page)
{
	unmapped_zone_break_this(unmapped_page_zone(page), page);
}

/*
 * Memory that goes offline can't have free pages that the cache holds. Nothing
 * of it is in use then, but a page that the hardware reported as bad may be what
 * is left of a block.
 */
VISIBLE_IF_KUNIT int unmapped_memory_callback(struct notifier_block *nb,
					      unsigned long action, void *data)
{
	const struct memory_notify *range = data;
	int nid = pfn_to_nid(range->start_pfn);

	switch (action) {
	case MEM_GOING_OFFLINE:
		unmapped_alloc_drain(nid);
		each_area(range, PB_unmapped_block, break_block);
		unmapped_alloc_drain(nid);
		break;
	case MEM_OFFLINE:
		each_area(range, PB_unmapped_fragment, unmapped_forget_area);
		break;
	}
	return NOTIFY_OK;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_memory_callback);

/**
 * unmapped_release_init_node() - prepare a node for giving memory back
 * @node: the node.
 */
void __init unmapped_release_init_node(struct unmapped_node *node)
{
	/* An idle CPU need not wake up for this. */
	INIT_DEFERRABLE_WORK(&node->idle_work, idle_work);
}

/**
 * unmapped_release_init() - prepare for giving memory back
 *
 * Return: 0 or -ENOMEM.
 */
int __init unmapped_release_init(void)
{
	int err = init_shrinker();

	if (err)
		return err;

	register_oom_notifier(&oom_notifier);
	pm_notifier(unmapped_prepare_for_image, 0);
	hotplug_memory_notifier(unmapped_memory_callback, DEFAULT_CALLBACK_PRI);
	return 0;
}
