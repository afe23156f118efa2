// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: mapping a page on purpose, for as long as its owner
 * shares it with the kernel.
 *
 * A guest decides how often KVM drops such a mapping, and removing one takes a
 * flush of all CPUs' TLBs. Therefore mappings that were dropped stay in place
 * until there are UNMAPPED_VMAP_BATCH of them, or for UNMAPPED_VMAP_DELAY, and
 * are then removed with a single flush: there is at most one flush for each
 * UNMAPPED_VMAP_BATCH mappings, in addition to one for each UNMAPPED_VMAP_DELAY
 * and for each call of unmapped_page_vunmap_flush().
 * A page that is mapped again in the meantime gets its mapping back.
 *
 * Until the flush, each mapping has a reference to its page, so that nobody else
 * can get it. If its owner gives it up, it is cleared as soon as the owner does
 * so, see unmapped_free_folio().
 *
 * The addresses are used again, without the help of vmalloc, which would flush
 * the TLBs for them once more.
 *
 * Memory cost: UNMAPPED_VMAP_BATCH pages and as many kernel addresses; 2.5 KiB.
 */

#include <linux/atomic.h>
#include <linux/cacheflush.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/unmapped_alloc.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <asm/tlbflush.h>

#include <kunit/visibility.h>

#include "unmapped-alloc.h"
#include "vmalloc.h"

#define UNMAPPED_VMAP_DELAY	HZ

/**
 * struct dropped_maps - mappings that were dropped, but not removed yet
 * @nr: how many.
 * @areas: where they are.
 * @pages: the pages that they map.
 *	Invariant: each mapping has a reference to its page.
 */
struct dropped_maps {
	unsigned int nr;
	struct vm_struct *areas[UNMAPPED_VMAP_BATCH];
	struct page *pages[UNMAPPED_VMAP_BATCH];
};

/* Shown in debugfs. */
atomic_long_t unmapped_vmap_drops, unmapped_vmap_flushes;
EXPORT_SYMBOL_IF_KUNIT(unmapped_vmap_flushes);

/* Held while mappings are removed; maps_lock nests inside. */
static DEFINE_MUTEX(purge_mutex);
/* Mappings that are being removed. Protected by purge_mutex. */
static struct dropped_maps purged;

static DEFINE_SPINLOCK(maps_lock);
/* Protected by maps_lock, like the rest. */
static struct dropped_maps dropped;
/* Areas in which nothing is mapped, nor in any TLB. */
static struct vm_struct *free_areas[UNMAPPED_VMAP_BATCH];
static unsigned int nr_free_areas;

/* Take back a mapping of @page that was dropped. */
static struct vm_struct *revive_map(const struct page *page)
{
	struct vm_struct *area;
	unsigned int i;

	guard(spinlock)(&maps_lock);
	for (i = 0; i < dropped.nr; i++) {
		if (dropped.pages[i] != page)
			continue;
		area = dropped.areas[i];
		dropped.nr--;
		dropped.areas[i] = dropped.areas[dropped.nr];
		dropped.pages[i] = dropped.pages[dropped.nr];
		return area;
	}
	return NULL;
}

/* Returns how many have been dropped with this one, or 0 if there is no room. */
static unsigned int add_dropped(struct vm_struct *area, struct page *page)
{
	guard(spinlock)(&maps_lock);
	if (dropped.nr == UNMAPPED_VMAP_BATCH)
		return 0;
	dropped.areas[dropped.nr] = area;
	dropped.pages[dropped.nr] = page;
	return ++dropped.nr;
}

static struct vm_struct *get_area(void)
{
	scoped_guard(spinlock, &maps_lock) {
		if (nr_free_areas)
			return free_areas[--nr_free_areas];
	}
	/* Sparse: readers of /proc/kcore see zeroes here. */
	return get_vm_area(PAGE_SIZE, VM_SPARSE);
}

static void put_area(struct vm_struct *area)
{
	scoped_guard(spinlock, &maps_lock) {
		if (nr_free_areas < UNMAPPED_VMAP_BATCH) {
			free_areas[nr_free_areas++] = area;
			return;
		}
	}
	free_vm_area(area);
}

/* Remove the mappings in @purged. */
static void remove_maps(void)
{
	unsigned long addr, start = ULONG_MAX, end = 0;
	unsigned int i;

	lockdep_assert_held(&purge_mutex);

	for (i = 0; i < purged.nr; i++) {
		addr = (unsigned long)purged.areas[i]->addr;
		flush_cache_vunmap(addr, addr + PAGE_SIZE);
		vunmap_range_noflush(addr, addr + PAGE_SIZE);
		start = min(start, addr);
		end = max(end, addr + PAGE_SIZE);
	}
	atomic_long_inc(&unmapped_vmap_flushes);
	flush_tlb_kernel_range(start, end);

	for (i = 0; i < purged.nr; i++)
		put_area(purged.areas[i]);
	release_pages(purged.pages, purged.nr);
}

/* Remove the mappings that were dropped, if there are @min of them. */
static void purge_maps(unsigned int min)
{
	guard(mutex)(&purge_mutex);
	scoped_guard(spinlock, &maps_lock) {
		if (dropped.nr < min)
			return;
		purged = dropped;
		dropped.nr = 0;
	}
	remove_maps();
}

static void purge_all_maps(struct work_struct *work)
{
	purge_maps(1);
}

static DECLARE_DELAYED_WORK(purge_work, purge_all_maps);

void *unmapped_page_vmap(struct page *page)
{
	struct vm_struct *area;
	unsigned long addr;

	might_sleep();

	area = revive_map(page);
	if (area)
		return area->addr;

	area = get_area();
	if (!area)
		return NULL;

	addr = (unsigned long)area->addr;
	if (vm_area_map_pages(area, addr, addr + PAGE_SIZE, &page)) {
		free_vm_area(area);
		return NULL;
	}
	get_page(page);
	return area->addr;
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_page_vmap);

void unmapped_page_vunmap(const void *addr)
{
	struct vm_struct *area = find_vm_area(addr);
	struct page *page = vmalloc_to_page(addr);
	unsigned int nr;

	might_sleep();

	atomic_long_inc(&unmapped_vmap_drops);
	while (!(nr = add_dropped(area, page)))
		purge_maps(UNMAPPED_VMAP_BATCH);

	if (nr == UNMAPPED_VMAP_BATCH)
		purge_maps(UNMAPPED_VMAP_BATCH);
	else
		/* No effect if it is queued already. */
		queue_delayed_work(system_dfl_wq, &purge_work,
				   UNMAPPED_VMAP_DELAY);
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_page_vunmap);

void unmapped_page_vunmap_flush(void)
{
	purge_maps(1);
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_page_vunmap_flush);

#if IS_ENABLED(CONFIG_KUNIT)
/* Let the work run now if it is queued. */
void unmapped_vmap_flush_work(void)
{
	flush_delayed_work(&purge_work);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_vmap_flush_work);
#endif
