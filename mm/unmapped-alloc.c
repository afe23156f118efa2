// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: pages that are absent from the kernel's direct map.
 */

/**
 * DOC: unmapped page allocator
 *
 * Some memory must not be reachable through the kernel's direct map: secrets
 * of user space, the memory of a VM, kernel text. Removing such pages one by
 * one splits the direct map's large entries for good and costs a TLB flush on
 * every CPU each time. This allocator sits on top of the page allocator, takes
 * whole PMD-size blocks from it, removes each in one go with one flush, and
 * hands out pages of them. Freed pages are cleared and stay unmapped in the
 * cache; when memory is short, whole blocks go back, mapped by one large entry
 * as before.
 *
 * Not provided: memory that can be migrated or swapped; memory for
 * architectures whose direct map can't be changed, see
 * ARCH_SUPPORTS_UNMAPPED_ALLOC; protection from accesses that do not use the
 * direct map, such as a device's or the owner's own mappings.
 *
 * States of an owned page:
 *
 * - used: handed out. All of struct page belongs to the consumer. How the
 *   last reference is dropped does not matter: __free_pages_prepare() brings
 *   the page here.
 * - cached: free, part of a chunk on one of the lists of its zone, zeroed.
 * - in transit: taken off the lists to be given back.
 *
 * Lock order:
 *
 * 1. unmapped_node::refill_lock, a mutex around taking a block
 * 2. unmapped_zone::lock, interrupts off
 * 3. xarray lock in unmapped-owner.c, interrupts off
 * 4. locks of the slab and the page allocator: under 2 and 3 for kfree_rcu()
 *
 * The direct map is only changed without 2 and 3; it has locks of its own
 * (cpa_lock on x86) and waits for other CPUs. The page allocator's free path
 * comes here without a lock of its own.
 *
 * Memory cost: about 1 KiB for each node and zone; a cache line's worth of
 * page table for each possible CPU; 96 bytes for each area with fragments. None
 * in struct page, two bits for each pageblock.
 */

#define pr_fmt(fmt) "unmapped_alloc: " fmt

#include <linux/cpuset.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>
#include <linux/shrinker.h>
#include <linux/suspend.h>
#include <linux/swap.h>
#include <linux/unmapped_alloc.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <asm/tlbflush.h>

#include "internal.h"
#include "page_alloc.h"
#include "unmapped-alloc.h"

DEFINE_STATIC_KEY_FALSE(unmapped_alloc_key);

static struct unmapped_node *unmapped_nodes[MAX_NUMNODES] __ro_after_init;
static bool unmapped_alloc_ready __ro_after_init;

/* === Counters ============================================================ */

static atomic_long_t unmapped_events[UNMAPPED_NR_EVENTS];

static void count_event(enum unmapped_event event)
{
	atomic_long_inc(&unmapped_events[event]);
}

VISIBLE_IF_KUNIT unsigned long unmapped_event_count(enum unmapped_event event)
{
	return atomic_long_read(&unmapped_events[event]);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_event_count);

#ifdef CONFIG_MEM_ALLOC_PROFILING
/* Whom /proc/allocinfo shows as the user of memory in the cache. */
static struct alloc_tag *unmapped_cache_tag(void)
{
	DEFINE_ALLOC_TAG(tag);

	return &tag;
}

static void charge_cache(long nr_pages)
{
	if (mem_alloc_profiling_enabled())
		this_cpu_add(unmapped_cache_tag()->counters->bytes,
			     nr_pages * PAGE_SIZE);
}
#else
static void charge_cache(long nr_pages) { }
#endif

/* Move pages from one count to another. */
static void move_count(struct unmapped_zone *uz, unsigned long *from,
		       unsigned long *to, unsigned int order)
{
	lockdep_assert_held(&uz->lock);

	*from -= 1UL << order;
	*to += 1UL << order;
}

/* === Free lists ========================================================== */

static struct unmapped_zone *zone_cache(const struct zone *zone)
{
	return &unmapped_nodes[zone_to_nid(zone)]->zones[zone_idx(zone)];
}

static struct unmapped_zone *page_cache_zone(const struct page *page)
{
	return zone_cache(page_zone(page));
}

static void add_free_locked(struct unmapped_zone *uz, struct page *page,
			    unsigned int order, enum unmapped_kind kind)
{
	lockdep_assert_held(&uz->lock);

	set_page_private(page, order);
	__SetPageUnmappedFree(page);
	list_add(&page->buddy_list, &uz->free[kind][order]);
	WRITE_ONCE(uz->nr_free[kind][order], uz->nr_free[kind][order] + 1);
}

static void del_free_locked(struct unmapped_zone *uz, struct page *page,
			    unsigned int order, enum unmapped_kind kind)
{
	lockdep_assert_held(&uz->lock);

	list_del(&page->buddy_list);
	__ClearPageUnmappedFree(page);
	set_page_private(page, 0);
	WRITE_ONCE(uz->nr_free[kind][order], uz->nr_free[kind][order] - 1);
}

/* Keep the first 2^@low pages of a chunk of 2^@high, the rest is free. */
static void split_chunk_locked(struct unmapped_zone *uz, struct page *page,
			       unsigned int high, unsigned int low,
			       enum unmapped_kind kind)
{
	while (high > low) {
		high--;
		add_free_locked(uz, page + (1UL << high), high, kind);
	}
}

static struct page *free_buddy(struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page);
	struct page *buddy = page + (__find_buddy_pfn(pfn, order) - pfn);

	if (PageUnmappedFree(buddy) && page_private(buddy) == order)
		return buddy;
	return NULL;
}

/* Put a chunk on the lists, merged with its free neighbours up to a block. */
static void merge_free_locked(struct unmapped_zone *uz, struct page *page,
			      unsigned int order)
{
	enum unmapped_kind kind = unmapped_kind(page);
	struct page *buddy;

	while (order < PMD_ORDER && (buddy = free_buddy(page, order))) {
		del_free_locked(uz, buddy, order, kind);
		page = min(page, buddy);
		order++;
	}

	if (order == PMD_ORDER && kind == UNMAPPED_FRAGMENT) {
		unmapped_fragments_to_block(page);
		kind = UNMAPPED_BLOCK;
	}
	add_free_locked(uz, page, order, kind);
}

static struct page *take_kind_locked(struct unmapped_zone *uz,
				     enum unmapped_kind kind,
				     unsigned int order, unsigned int from,
				     unsigned int to)
{
	struct page *page;
	unsigned int o;

	for (o = max(order, from); o <= to; o++) {
		page = list_first_entry_or_null(&uz->free[kind][o],
						struct page, buddy_list);
		if (!page)
			continue;
		del_free_locked(uz, page, o, kind);
		split_chunk_locked(uz, page, o, order, kind);
		return page;
	}
	return NULL;
}

/*
 * Blocks that are in use partly come first, so that the others stay whole and
 * can be given back. Fragments come next: what is left of an area's large
 * entry is lost anyway until all of them are free.
 */
static struct page *take_free_locked(struct unmapped_zone *uz,
				     unsigned int order)
{
	struct page *page;

	page = take_kind_locked(uz, UNMAPPED_BLOCK, order, 0, PMD_ORDER - 1);
	if (!page)
		page = take_kind_locked(uz, UNMAPPED_FRAGMENT, order, 0,
					PMD_ORDER - 1);
	if (!page)
		page = take_kind_locked(uz, UNMAPPED_BLOCK, order, PMD_ORDER,
					PMD_ORDER);
	if (page)
		move_count(uz, &uz->count.cached, &uz->count.used, order);
	return page;
}

/* === Poisoned pages ====================================================== */

static bool chunk_poisoned(const struct page *page, unsigned int order)
{
	unsigned long i;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		return false;

	for (i = 0; i < 1UL << order; i++)
		if (PageHWPoison(page + i))
			return true;
	return false;
}

/*
 * Put the sound pages of a chunk, counted in @from, back on the lists. The
 * others are lost, and remain unmapped: they are never touched again.
 */
static void put_sound_pages_locked(struct unmapped_zone *uz, struct page *page,
				   unsigned int order, unsigned long *from)
{
	unsigned long i;

	for (i = 0; i < 1UL << order; i++) {
		if (PageHWPoison(page + i)) {
			move_count(uz, from, &uz->count.lost, 0);
			uz->count.owned--;
		} else {
			move_count(uz, from, &uz->count.cached, 0);
			merge_free_locked(uz, page + i, 0);
		}
	}
}

/* === Changing the direct map ============================================= */

VISIBLE_IF_KUNIT int unmapped_set_direct_map(struct page *page, unsigned int nr,
					     bool valid)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_set_direct_map, page, nr, valid);

	return set_direct_map_valid_noflush(page, nr, valid);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_set_direct_map);

static void flush_direct_map(struct page *page, unsigned int order)
{
	unsigned long addr = (unsigned long)page_address(page);

	count_event(UNMAPPED_TLB_FLUSH);
	flush_tlb_kernel_range(addr, addr + (PAGE_SIZE << order));
}

/*
 * Remove a chunk from the direct map, or leave it as it was. Page tables may
 * be needed; their allocation must not recurse into whatever the caller's
 * caller holds locks of.
 *
 * Returns 0 or -errno; -ENOTRECOVERABLE if the chunk is neither.
 */
static int unmap_chunk(struct page *page, unsigned int order)
{
	unsigned int noio = memalloc_noio_save();
	int err = unmapped_set_direct_map(page, 1U << order, false);

	if (!err)
		flush_direct_map(page, order);
	else if (unmapped_set_direct_map(page, 1U << order, true))
		err = -ENOTRECOVERABLE;
	memalloc_noio_restore(noio);

	return err;
}

/*
 * Map a chunk again, or leave it unmapped as a whole. No flush is needed when
 * it worked: an entry that is not present is not cached.
 *
 * Returns 0 or -errno; -ENOTRECOVERABLE if the chunk is neither.
 */
static int map_chunk(struct page *page, unsigned int order)
{
	int err = unmapped_set_direct_map(page, 1U << order, true);

	if (err) {
		if (unmapped_set_direct_map(page, 1U << order, false))
			err = -ENOTRECOVERABLE;
		flush_direct_map(page, order);
	}
	return err;
}

/* === Refill ============================================================== */

VISIBLE_IF_KUNIT struct page *unmapped_source_alloc(gfp_t gfp,
						    unsigned int order, int nid)
{
	KUNIT_STATIC_STUB_REDIRECT(unmapped_source_alloc, gfp, order, nid);

	return __alloc_frozen_pages(gfp, order, nid, NULL, ALLOC_DEFAULT);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_source_alloc);

/* What the page allocator is asked with: unmovable memory, cleared. */
static gfp_t source_gfp(gfp_t gfp)
{
	gfp &= ~(GFP_ZONEMASK | __GFP_RECLAIMABLE | __GFP_COMP | __GFP_ACCOUNT |
		 __GFP_NOFAIL | __GFP_ZEROTAGS | __GFP_SKIP_ZERO |
		 __GFP_SKIP_KASAN) |
	       __GFP_DMA | __GFP_DMA32;
	return gfp | __GFP_ZERO;
}

/* For more than what was asked for: take it if it lies there. */
static gfp_t opportunistic_gfp(gfp_t gfp)
{
	gfp &= ~(__GFP_DIRECT_RECLAIM | __GFP_RETRY_MAYFAIL | __GFP_HIGH);
	return gfp | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC;
}

/* Leave the page allocator's books, or return to them. */
static void check_out(struct page *page, unsigned int order)
{
	page_free_account(page, order);
	charge_cache(1L << order);
}

static void check_in(struct page *page, unsigned int order)
{
	struct alloc_tag * __maybe_unused old;

	charge_cache(-(1L << order));
	old = alloc_tag_save(unmapped_cache_tag());
	page_alloc_account(page, order, GFP_KERNEL, ALLOC_DEFAULT);
	alloc_tag_restore(unmapped_cache_tag(), old);
}

/* A new chunk: its first 2^@order pages are handed out, the rest is cached. */
static void insert_chunk(struct page *page, unsigned int from,
			 unsigned int order)
{
	struct unmapped_zone *uz = page_cache_zone(page);
	enum unmapped_kind kind = unmapped_kind(page);

	guard(spinlock_irqsave)(&uz->lock);
	split_chunk_locked(uz, page, from, order, kind);
	uz->count.owned += 1UL << from;
	uz->count.cached += (1UL << from) - (1UL << order);
	uz->count.used += 1UL << order;
}

/* Neither as it was nor as it should be: nobody can use these pages. */
static void lose_chunk(struct page *page, unsigned int order)
{
	struct unmapped_zone *uz = page_cache_zone(page);

	pr_warn_once("direct map not restored, memory is lost\n");
	guard(spinlock_irqsave)(&uz->lock);
	uz->count.lost += 1UL << order;
}

/*
 * Take a chunk of order @from from the page allocator, remove it from the
 * direct map and return the first 2^@order pages of it. That share and the
 * insertion are one step, so that nobody can take it away from this caller.
 */
static struct page *refill(gfp_t gfp, unsigned int from, unsigned int order,
			   int nid)
{
	struct page *page;
	bool first;
	int err;

	page = unmapped_source_alloc(gfp, from, nid);
	if (!page)
		return NULL;

	err = unmapped_own(page, from, gfp & GFP_RECLAIM_MASK, &first);
	if (err)
		goto free;

	err = unmap_chunk(page, from);
	if (err)
		goto disown;

	check_out(page, from);
	insert_chunk(page, from, order);
	if (from < PMD_ORDER && first)
		count_event(UNMAPPED_AREA_SPLIT);
	count_event(from == PMD_ORDER ? UNMAPPED_REFILL_BLOCK :
					UNMAPPED_REFILL_FRAGMENT);
	return page;

disown:
	if (err == -ENOTRECOVERABLE) {
		lose_chunk(page, from);
		goto fail;
	}
	unmapped_disown(page, from);
free:
	free_frozen_pages(page, from);
fail:
	count_event(UNMAPPED_REFILL_FAIL);
	return NULL;
}

/* === Allocation ========================================================== */

static struct page *take_cached(struct unmapped_zone *uz, unsigned int order)
{
	struct page *page;

	/* Racy, but a page freed at this moment can be missed anyway. */
	if (READ_ONCE(uz->count.cached) < 1UL << order)
		return NULL;

	guard(spinlock_irqsave)(&uz->lock);
	while ((page = take_free_locked(uz, order))) {
		if (likely(!chunk_poisoned(page, order)))
			break;
		put_sound_pages_locked(uz, page, order, &uz->count.used);
	}
	return page;
}

/* Look through the caches in the order that the page allocator would. */
static struct page *take_zonelist(gfp_t gfp, unsigned int order, int nid,
				  bool local)
{
	enum zone_type highest = gfp_zone(gfp);
	struct zoneref *z;
	struct zone *zone;
	struct page *page;

	for_each_zone_zonelist(zone, z, node_zonelist(nid, gfp), highest) {
		if (local && zone_to_nid(zone) != nid)
			break;
		if (!cpuset_zone_allowed(zone, gfp))
			continue;
		page = take_cached(zone_cache(zone), order);
		if (page)
			return page;
	}
	return NULL;
}

static struct page *refill_block(gfp_t gfp, unsigned int order, int nid)
{
	struct unmapped_node *node = unmapped_node(nid);
	struct page *page;

	guard(mutex)(&node->refill_lock);
	/* Who had the lock before may have refilled for all who wait. */
	page = take_zonelist(gfp, order, nid, true);
	if (page)
		return page;
	return refill(opportunistic_gfp(gfp), PMD_ORDER, order, nid);
}

/*
 * In order of what it costs the system: a block, which splits nothing; a page
 * from farther away; the largest fragment to be had without effort; and at
 * last, with all the effort that the caller allows, just what is needed.
 */
static struct page *alloc_slow(gfp_t gfp, unsigned int order, int nid)
{
	struct page *page;
	unsigned int from;

	page = refill_block(gfp, order, nid);
	if (!page)
		page = take_zonelist(gfp, order, nid, false);
	for (from = PMD_ORDER - 1; !page && from > order; from--)
		page = refill(opportunistic_gfp(gfp), from, order, nid);
	if (!page)
		page = refill(gfp, order, order, nid);
	return page;
}

/* What the page allocator does for a new page, contents aside. */
static struct page *hand_out(struct page *page, unsigned int order, gfp_t gfp)
{
	charge_cache(-(1L << order));
	page_alloc_account(page, order, gfp, ALLOC_DEFAULT);
	if (order && (gfp & __GFP_COMP))
		prep_compound_page(page, order);
	set_page_refcounted(page);

	if ((gfp & __GFP_ACCOUNT) && memcg_kmem_charge_page(page, gfp, order)) {
		unmapped_pages_free(page, order);
		return NULL;
	}
	return page;
}

struct page *unmapped_pages_alloc_node_noprof(gfp_t gfp, unsigned int order,
					      int nid)
{
	gfp_t source = source_gfp(current_gfp_context(gfp));
	struct page *page;

	if (WARN_ON_ONCE(!static_key_enabled(&unmapped_alloc_key)) ||
	    WARN_ON_ONCE_GFP(order > PMD_ORDER, gfp))
		return NULL;
	VM_WARN_ON_ONCE(gfp & __GFP_NOFAIL);

	if (nid == NUMA_NO_NODE)
		nid = numa_mem_id();

	page = take_zonelist(source, order, nid, true);
	if (!page && gfpflags_allow_blocking(source))
		page = alloc_slow(source, order, nid);
	else if (!page)
		page = take_zonelist(source, order, nid, false);

	return page ? hand_out(page, order, gfp) : NULL;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pages_alloc_node_noprof);

struct folio *unmapped_folio_alloc_noprof(gfp_t gfp, unsigned int order)
{
	gfp |= __GFP_COMP;
	return page_rmappable_folio(unmapped_pages_alloc_node_noprof(gfp, order,
								     NUMA_NO_NODE));
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_folio_alloc_noprof);

/* === Free ================================================================ */

void unmapped_pages_free(struct page *page, unsigned int order)
{
	VM_WARN_ON_ONCE_PAGE(!unmapped_page(page), page);
	__free_pages(page, order);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_pages_free);

void unmapped_folio_clear(struct folio *folio)
{
	long i;

	for (i = 0; i < folio_nr_pages(folio); i++)
		unmapped_clear_page(folio_page(folio, i));
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_folio_clear);

static void put_chunk(struct unmapped_zone *uz, struct page *page,
		      unsigned int order)
{
	bool poisoned = chunk_poisoned(page, order);
	unsigned long i;

	/* A poisoned page must not be touched, not even to clear it. */
	for (i = 0; i < 1UL << order; i++)
		if (!poisoned || !PageHWPoison(page + i))
			unmapped_clear_page(page + i);

	guard(spinlock_irqsave)(&uz->lock);
	if (unlikely(poisoned)) {
		put_sound_pages_locked(uz, page, order, &uz->count.used);
		return;
	}
	move_count(uz, &uz->count.used, &uz->count.cached, order);
	merge_free_locked(uz, page, order);
}

static void put_deferred(struct irq_work *work)
{
	struct unmapped_zone *uz = container_of(work, struct unmapped_zone,
						deferred_work);
	struct llist_node *list = llist_del_all(&uz->deferred);
	struct page *page, *next;
	unsigned int order;

	llist_for_each_entry_safe(page, next, list, pcp_llist) {
		order = page_private(page);
		set_page_private(page, 0);
		put_chunk(uz, page, order);
	}
}

/**
 * unmapped_alloc_catch() - take a page back that is being freed
 * @page: first page, without a reference, checked and prepared for being free.
 * @order: order that it is freed with.
 * @nolock: no lock may be taken here.
 *
 * The page allocator calls this for every page, once the allocator is in use.
 *
 * Context: Any context; NMI only with @nolock.
 * Return: true if the page was the allocator's, and has been dealt with.
 */
bool unmapped_alloc_catch(struct page *page, unsigned int order, bool nolock)
{
	struct unmapped_zone *uz;

	if (unmapped_kind(page) == UNMAPPED_NONE)
		return false;

	uz = page_cache_zone(page);
	charge_cache(1L << order);
	if (unlikely(nolock)) {
		set_page_private(page, order);
		if (llist_add(&page->pcp_llist, &uz->deferred))
			irq_work_queue(&uz->deferred_work);
	} else {
		put_chunk(uz, page, order);
	}
	return true;
}

/* === Release ============================================================= */

static struct page *last_chunk_locked(struct unmapped_zone *uz,
				      unsigned int *order)
{
	enum unmapped_kind kind = UNMAPPED_BLOCK;
	struct list_head *list;
	struct page *page;
	int o;

	for (o = PMD_ORDER; o >= 0; o--, kind = UNMAPPED_FRAGMENT) {
		list = &uz->free[kind][o];
		if (list_empty(list))
			continue;
		page = list_last_entry(list, struct page, buddy_list);
		del_free_locked(uz, page, o, kind);
		move_count(uz, &uz->count.cached, &uz->count.transit, o);
		*order = o;
		return page;
	}
	return NULL;
}

/*
 * The next chunk to give back: the block that has been free for longest, then
 * the largest fragment. Blocks that are in use partly are left alone, nothing
 * of them can be mapped without splitting their entry.
 */
static struct page *isolate_chunk(struct unmapped_zone *uz, unsigned int *order)
{
	struct page *page;

	guard(spinlock_irqsave)(&uz->lock);
	while ((page = last_chunk_locked(uz, order))) {
		if (likely(!chunk_poisoned(page, *order)))
			break;
		put_sound_pages_locked(uz, page, *order, &uz->count.transit);
	}
	return page;
}

/* The chunk can't be given back: to the lists again, or lost. */
static void undo_isolate(struct unmapped_zone *uz, struct page *page,
			 unsigned int order, bool lost)
{
	count_event(UNMAPPED_RELEASE_FAIL);

	guard(spinlock_irqsave)(&uz->lock);
	if (lost) {
		pr_warn_once("direct map not restored, memory is lost\n");
		move_count(uz, &uz->count.transit, &uz->count.lost, order);
		uz->count.owned -= 1UL << order;
	} else {
		move_count(uz, &uz->count.transit, &uz->count.cached, order);
		merge_free_locked(uz, page, order);
	}
}

static void give_back(struct unmapped_zone *uz, struct page *page,
		      unsigned int order)
{
	/* From here on the page allocator's free path must let it pass. */
	unmapped_disown(page, order);
	scoped_guard(spinlock_irqsave, &uz->lock) {
		uz->count.transit -= 1UL << order;
		uz->count.owned -= 1UL << order;
	}

	check_in(page, order);
	free_frozen_pages(page, order);
	mm_account_reclaimed_pages(1UL << order);
	count_event(order == PMD_ORDER ? UNMAPPED_RELEASE_BLOCK :
					 UNMAPPED_RELEASE_FRAGMENT);
}

/* Returns the number of pages given back, 0 if there is nothing or it failed. */
static unsigned long release_one(struct unmapped_zone *uz)
{
	struct page *page;
	unsigned int order;
	int err;

	page = isolate_chunk(uz, &order);
	if (!page)
		return 0;

	err = map_chunk(page, order);
	if (err) {
		undo_isolate(uz, page, order, err == -ENOTRECOVERABLE);
		return 0;
	}
	give_back(uz, page, order);
	return 1UL << order;
}

static unsigned long release_pages_of(int nid, unsigned long nr_pages)
{
	struct unmapped_node *node = unmapped_node(nid);
	unsigned long freed = 0, n;
	int i;

	for (i = UNMAPPED_NR_ZONES - 1; i >= 0; i--) {
		while (freed < nr_pages && (n = release_one(&node->zones[i]))) {
			freed += n;
			cond_resched();
		}
	}
	return freed;
}

static unsigned long nr_releasable(struct unmapped_zone *uz)
{
	unsigned long nr;
	int order;

	nr = READ_ONCE(uz->nr_free[UNMAPPED_BLOCK][PMD_ORDER]) << PMD_ORDER;
	for (order = 0; order < PMD_ORDER; order++)
		nr += READ_ONCE(uz->nr_free[UNMAPPED_FRAGMENT][order]) << order;
	return nr;
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
	unsigned long freed = release_pages_of(sc->nid, sc->nr_to_scan);

	sc->nr_scanned = freed;
	return freed ? freed : SHRINK_STOP;
}

/**
 * unmapped_alloc_drain() - give back all that can be given back
 * @nid: of which node.
 *
 * Context: Process context, may sleep.
 * Return: number of pages given back.
 */
VISIBLE_IF_KUNIT unsigned long unmapped_alloc_drain(int nid)
{
	return release_pages_of(nid, ULONG_MAX);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_drain);

/* The image of a hibernating system is read through the direct map. */
static int drain_before_image(struct notifier_block *nb, unsigned long action,
			      void *data)
{
	int nid;

	if (action == PM_HIBERNATION_PREPARE && unmapped_alloc_ready)
		for_each_node(nid)
			unmapped_alloc_drain(nid);
	return NOTIFY_OK;
}

/* === Questions =========================================================== */

struct unmapped_node *unmapped_node(int nid)
{
	return unmapped_nodes[nid];
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_node);

bool unmapped_alloc_available(void)
{
	return unmapped_alloc_ready;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_available);

int unmapped_alloc_enable(void)
{
	might_sleep();

	if (!unmapped_alloc_ready)
		return -EOPNOTSUPP;
	if (!static_key_enabled(&unmapped_alloc_key))
		static_branch_enable(&unmapped_alloc_key);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_enable);

bool unmapped_page(const struct page *page)
{
	return static_branch_unlikely(&unmapped_alloc_key) &&
	       unmapped_kind(page) != UNMAPPED_NONE;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_page);

static void add_count(struct unmapped_zone *uz, struct unmapped_count *sum)
{
	guard(spinlock_irqsave)(&uz->lock);
	sum->owned += uz->count.owned;
	sum->used += uz->count.used;
	sum->cached += uz->count.cached;
	sum->transit += uz->count.transit;
	sum->lost += uz->count.lost;
}

/**
 * unmapped_alloc_count() - add up the pages of a node by where they are
 * @nid: the node.
 * @sum: filled in.
 *
 * Context: Any context except NMI.
 */
VISIBLE_IF_KUNIT void unmapped_alloc_count(int nid, struct unmapped_count *sum)
{
	int i;

	*sum = (struct unmapped_count){};
	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		add_count(&unmapped_node(nid)->zones[i], sum);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_count);

/* Walk one list; returns the pages on it, or ULONG_MAX if an entry is bad. */
static unsigned long check_list_locked(struct unmapped_zone *uz,
				       enum unmapped_kind kind,
				       unsigned int order)
{
	unsigned long nr = 0;
	struct page *page;

	lockdep_assert_held(&uz->lock);

	list_for_each_entry(page, &uz->free[kind][order], buddy_list) {
		if (!PageUnmappedFree(page) || page_private(page) != order ||
		    page_ref_count(page) || unmapped_kind(page) != kind ||
		    page_cache_zone(page) != uz)
			return ULONG_MAX;
		nr++;
	}
	return nr == uz->nr_free[kind][order] ? nr << order : ULONG_MAX;
}

static bool check_zone(struct unmapped_zone *uz)
{
	struct unmapped_count *count = &uz->count;
	unsigned long nr, cached = 0;
	int kind, order;

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
 * Walks all free lists with interrupts off: for tests.
 *
 * Context: Any context except NMI.
 * Return: true if all is well.
 */
VISIBLE_IF_KUNIT bool unmapped_alloc_check(int nid)
{
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		if (!check_zone(&unmapped_node(nid)->zones[i]))
			return false;
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_alloc_check);

/* === Boot ================================================================ */

static void __init init_zone(struct unmapped_zone *uz)
{
	int kind, order;

	spin_lock_init(&uz->lock);
	init_llist_head(&uz->deferred);
	init_irq_work(&uz->deferred_work, put_deferred);
	for (kind = 0; kind < UNMAPPED_NR_KINDS; kind++)
		for (order = 0; order <= PMD_ORDER; order++)
			INIT_LIST_HEAD(&uz->free[kind][order]);
}

static struct unmapped_node * __init alloc_node(int nid)
{
	struct unmapped_node *node;
	int i;

	node = kzalloc_node(sizeof(*node), GFP_KERNEL,
			    node_online(nid) ? nid : NUMA_NO_NODE);
	if (!node)
		return NULL;

	mutex_init(&node->refill_lock);
	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		init_zone(&node->zones[i]);
	return node;
}

static int __init init_nodes(void)
{
	int nid;

	for_each_node(nid) {
		unmapped_nodes[nid] = alloc_node(nid);
		if (!unmapped_nodes[nid])
			goto fail;
	}
	return 0;

fail:
	for_each_node(nid) {
		kfree(unmapped_nodes[nid]);
		unmapped_nodes[nid] = NULL;
	}
	return -ENOMEM;
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

static int __init unmapped_alloc_init(void)
{
	int err;

	/* The bit of a pageblock must not speak for more than a block. */
	if (!can_set_direct_map() || pageblock_order > PMD_ORDER)
		return 0;

	err = unmapped_window_init();
	if (!err)
		err = init_nodes();
	if (!err)
		err = init_shrinker();
	if (err) {
		pr_err("not available, error %d\n", err);
		return err;
	}

	pm_notifier(drain_before_image, 0);
	unmapped_alloc_ready = true;
	return 0;
}
core_initcall(unmapped_alloc_init);
