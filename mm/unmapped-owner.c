// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: which pages the allocator owns.
 *
 * This has to be known for every page that is freed anywhere in the system, and
 * no page flag is available for it. A pageblock bit marks a whole block. A
 * second bit marks a pageblock of which fragments are owned, and a bitmap for
 * its PMD-size area records which pages these are.
 *
 * Every page that is freed in such a pageblock needs the bitmap, no matter who
 * owns it, so it has to be found quickly: a hash table has a bucket for each
 * area of the memory that is present at boot, up to 128 GiB; beyond that, areas
 * share buckets. Readers take no lock, not even that of RCU, because a bitmap
 * is kept for the next fragment of its area once the last one is gone.
 * unmapped_fragments_lock protects the contents of the bitmaps, the pageblock
 * bits of fragments, and insertions into the table.
 *
 * A page in use can have a mark that it may be in a hibernation image.
 */

#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/log2.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pageblock-flags.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/unmapped_alloc.h>

#include <kunit/visibility.h>

#include "unmapped-alloc.h"

/* No two areas share a bucket in up to 128 GiB of memory. */
#define FRAGMENTS_MAX_BUCKETS	65536UL

struct unmapped_fragments **unmapped_fragments_table __ro_after_init;
unsigned long unmapped_fragments_mask __ro_after_init;

static DEFINE_SPINLOCK(unmapped_fragments_lock);

static unsigned long area_index(const struct page *page)
{
	return page_to_pfn(page) >> PMD_ORDER;
}

static unsigned int area_offset(const struct page *page)
{
	return page_to_pfn(page) & (UNMAPPED_BLOCK_PAGES - 1);
}

/*
 * For free paths that don't need the flags of the pageblock otherwise. Read
 * without ordering, like these flags: a CPU that frees a page of the allocator
 * obtained it, directly or indirectly, from a CPU that saw this set.
 */
bool unmapped_alloc_used __read_mostly;

/*
 * Mark the pageblocks of a chunk. On x86, a pageblock is as large as a block,
 * but can be configured to be smaller. A pageblock that does not contain a part
 * of the chunk may be outside the zone: for example, the first area of memory
 * lacks page 0. The zone's span can't tell, as it changes while memory is
 * hot-added.
 */
static void mark_pageblocks(struct page *page, unsigned int order,
			    enum pageblock_bits bit, bool set)
{
	struct page *end = page + (1UL << order);

	for (; page < end; page += pageblock_nr_pages) {
		if (set)
			set_pfnblock_bit(page, page_to_pfn(page), bit);
		else
			clear_pfnblock_bit(page, page_to_pfn(page), bit);
	}
}

/**
 * unmapped_kind() - which kind of area is this page part of?
 * @page: any page.
 *
 * Context: Any context. The result is stable for a page that the caller owns,
 * or has taken off the free lists.
 * Return: the kind of area that @page is part of, UNMAPPED_NONE if not owned.
 */
enum unmapped_kind unmapped_kind(const struct page *page)
{
	unsigned long pfn = page_to_pfn(page);
	unsigned long flags = get_pfnblock_flags(page, pfn);

	if (likely(flags & BIT(PB_unmapped_block)))
		return UNMAPPED_BLOCK;
	if ((flags & BIT(PB_unmapped_fragment)) && unmapped_fragment(pfn))
		return UNMAPPED_FRAGMENT;
	return UNMAPPED_NONE;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_kind);

bool unmapped_page(const struct page *page)
{
	return unmapped_kind(page) != UNMAPPED_NONE;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_page);

/*
 * Memory that no zone has is reserved, and its pageblock's flags must not be looked
 * at. The zone's span could tell as well, but it changes while memory is hot-added,
 * and the caller may have interrupted that.
 */
bool unmapped_pfn(unsigned long pfn)
{
	struct page *page;

	if (!unmapped_alloc_is_used())
		return false;
	page = pfn_to_online_page(pfn);
	return page && !PageReserved(page) && unmapped_page(page);
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_pfn);

/* Insert the bitmap of an area, unless another CPU did. Returns the one there. */
static struct unmapped_fragments *insert_fragments(struct unmapped_fragments *new)
{
	struct unmapped_fragments **bucket, *fragments;

	guard(spinlock_irqsave)(&unmapped_fragments_lock);
	fragments = unmapped_find_fragments(new->index);
	if (fragments)
		return fragments;

	bucket = &unmapped_fragments_table[new->index & unmapped_fragments_mask];
	new->next = *bucket;
	/* Pairs with the address dependency in unmapped_find_fragments(). */
	smp_store_release(bucket, new);
	return new;
}

/* Find the bitmap of a page's area, or allocate it. */
static struct unmapped_fragments *get_fragments(const struct page *page,
						gfp_t gfp)
{
	struct unmapped_fragments *fragments, *new;

	fragments = unmapped_find_fragments(area_index(page));
	if (fragments)
		return fragments;

	new = kzalloc_obj(*new, gfp);
	if (!new)
		return NULL;

	new->index = area_index(page);
	fragments = insert_fragments(new);
	if (fragments != new)
		kfree(new);
	return fragments;
}

static int own_fragment(struct page *page, unsigned int order, gfp_t gfp,
			bool *first)
{
	struct unmapped_fragments *fragments = get_fragments(page, gfp);

	if (!fragments)
		return -ENOMEM;

	guard(spinlock_irqsave)(&unmapped_fragments_lock);
	*first = bitmap_empty(fragments->owned, UNMAPPED_BLOCK_PAGES);
	bitmap_set(fragments->owned, area_offset(page), 1U << order);
	if (*first || pageblock_order < PMD_ORDER)
		mark_pageblocks(page, order, PB_unmapped_fragment, true);
	return 0;
}

/**
 * unmapped_own() - record that pages belong to the allocator from now on
 * @page: first page, taken from the page allocator.
 * @order: its order.
 * @gfp: flags for the memory that the record itself needs.
 * @first: set to whether no other page of the area was owned before.
 *
 * Context: Process context, may sleep if @gfp allows it.
 * Return: 0 or -ENOMEM.
 */
int unmapped_own(struct page *page, unsigned int order, gfp_t gfp, bool *first)
{
	if (!unmapped_alloc_is_used())
		WRITE_ONCE(unmapped_alloc_used, true);
	if (order < PMD_ORDER)
		return own_fragment(page, order, gfp, first);

	mark_pageblocks(page, order, PB_unmapped_block, true);
	*first = true;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_own);

/* Is no page owned of the pageblock of this page? */
static bool pageblock_is_unowned(const struct unmapped_fragments *fragments,
				 const struct page *page)
{
	unsigned int start = ALIGN_DOWN(area_offset(page), pageblock_nr_pages);
	unsigned int end = start + pageblock_nr_pages;

	lockdep_assert_held(&unmapped_fragments_lock);

	return find_next_bit(fragments->owned, end, start) >= end;
}

static void disown_fragment(struct page *page, unsigned int order)
{
	struct unmapped_fragments *fragments = unmapped_find_fragments(area_index(page));
	struct page *end = page + (1UL << order);

	if (WARN_ON_ONCE(!fragments))
		return;

	guard(spinlock_irqsave)(&unmapped_fragments_lock);
	bitmap_clear(fragments->owned, area_offset(page), 1U << order);
	for (; page < end; page += pageblock_nr_pages)
		if (pageblock_is_unowned(fragments, page))
			clear_pfnblock_bit(page, page_to_pfn(page),
					   PB_unmapped_fragment);
}

/**
 * unmapped_disown() - forget pages that unmapped_own() recorded
 * @page: first page; neither on a free list nor handed out.
 * @order: its order.
 *
 * Context: Any context except NMI.
 */
void unmapped_disown(struct page *page, unsigned int order)
{
	if (order < PMD_ORDER)
		disown_fragment(page, order);
	else
		mark_pageblocks(page, order, PB_unmapped_block, false);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_disown);

/**
 * unmapped_fragments_to_block() - turn an area of fragments into a block
 * @page: first page of a PMD-size area, all of whose pages are owned and free.
 *
 * Context: Any context except NMI. Called with the zone's lock held, so that no
 * page of the area is handed out concurrently.
 */
void unmapped_fragments_to_block(struct page *page)
{
	/* No page of the area can be freed concurrently: all of them are free. */
	mark_pageblocks(page, PMD_ORDER, PB_unmapped_block, true);
	disown_fragment(page, PMD_ORDER);
}

/**
 * unmapped_block_to_fragments() - turn a block into an area of fragments
 * @page: first page of the block.
 *
 * Context: Any context except NMI. Called with the zone's lock held, so that no
 * page of the area is put back concurrently.
 * Return: 0 or -ENOMEM.
 */
int unmapped_block_to_fragments(struct page *page)
{
	bool first;
	int err;

	err = own_fragment(page, PMD_ORDER, GFP_NOWAIT | __GFP_NOWARN, &first);
	if (err)
		return err;

	/*
	 * Pages in use can be freed at any time. Pairs with unmapped_fragment():
	 * a CPU that does not find the block any more must find the bitmap.
	 */
	smp_mb__before_atomic();
	mark_pageblocks(page, PMD_ORDER, PB_unmapped_block, false);
	return 0;
}

/**
 * unmapped_forget() - forget the fragments of a pageblock whose memory is gone
 * @page: first page of a pageblock that went offline.
 *
 * Only poisoned pages are left in it. Other memory may take their place later.
 *
 * Context: Any context except NMI.
 */
void unmapped_forget(struct page *page)
{
	disown_fragment(page, pageblock_order);
}

/**
 * unmapped_owner_init() - allocate the hash table of areas
 *
 * Return: 0 or -ENOMEM.
 */
int __init unmapped_owner_init(void)
{
	unsigned long nr = roundup_pow_of_two(DIV_ROUND_UP(max_pfn, UNMAPPED_BLOCK_PAGES));

	nr = min(nr, FRAGMENTS_MAX_BUCKETS);
	unmapped_fragments_table = kvcalloc(nr, sizeof(*unmapped_fragments_table),
					    GFP_KERNEL);
	unmapped_fragments_mask = nr - 1;
	return unmapped_fragments_table ? 0 : -ENOMEM;
}

/* === Pages that may be in an image ======================================= */

/*
 * Pages with UNMAPPED_IMAGE_ALLOWED. Their number decides whether there can be an
 * image, the mark decides whether the contents of a page get into it. Never more
 * than the number of pages in use.
 */
atomic_long_t unmapped_nr_image_allowed;

static void mark_pages(struct page *page, unsigned int order,
		       unsigned long mark)
{
	unsigned long i, nr = PageCompound(page) ? 1 : 1UL << order;

	for (i = 0; i < nr; i++)
		set_page_private(page + i, mark);
}

void unmapped_image_allow(struct page *page, unsigned int order)
{
	VM_WARN_ON_ONCE(!unmapped_page(page) || PageTail(page));

	mark_pages(page, order, UNMAPPED_IMAGE_ALLOWED);
	atomic_long_add(1L << order, &unmapped_nr_image_allowed);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_image_allow);

void unmapped_image_deny(struct page *page, unsigned int order)
{
	if (!unmapped_image_allowed(page))
		return;

	atomic_long_sub(1L << order, &unmapped_nr_image_allowed);
	mark_pages(page, order, 0);
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_image_deny);

bool unmapped_image_allowed(const struct page *page)
{
	return page_private(compound_head(page)) == UNMAPPED_IMAGE_ALLOWED;
}
EXPORT_SYMBOL_IF_KUNIT(unmapped_image_allowed);
