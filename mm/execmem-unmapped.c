// SPDX-License-Identifier: GPL-2.0-only
/*
 * execmem: areas for the ROX cache that have no alias in the direct map.
 *
 * Their pages come from the unmapped page allocator, whole blocks if there are
 * any: then text splits no 2 MiB entry of the direct map, and the area is mapped
 * with large entries. Small requests share the blocks. Otherwise, an area has the
 * pages that it needs and few more: those that are unmapped already, then free
 * ones where the direct map is split already, and for the rest one fragment, which
 * splits one entry of the direct map at most.
 *
 * An area contains trapping instructions when it is made and when it is freed:
 * the cache overwrites whatever is freed to it. So blocks are not cleared.
 *
 * Changing the permissions of such an area leaves the direct map as it is,
 * because the entries there are not present, and so freeing one can't fail,
 * unlike that of an area with an alias. It is never freed by vfree() with
 * VM_FLUSH_RESET_PERMS, which would map the pages.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/set_memory.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/unmapped_alloc.h>
#include <linux/vmalloc.h>

#include "execmem.h"
#include "internal.h"
#include "unmapped-alloc.h"
#include "vmalloc.h"

/*
 * A block lasts for long, and serves all text that is loaded later, so it is
 * worth a round of reclaim and synchronous compaction. There are other ways, so
 * no more than that, and no OOM kill: the page allocator makes no further effort
 * for an order as high as this one. For less, it would.
 */
#define BLOCK_GFP	(GFP_KERNEL | __GFP_NOWARN)
#define TEXT_GFP	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

/*
 * Without blocks, small requests (a kprobe's slot takes a page) share an area of
 * this size, if there is as much: each area takes a search for pages, and changes
 * of page tables.
 */
#define SHARED_SIZE	SZ_64K

/**
 * struct execmem_backing - the pages of an area
 * @nr_blocks: number of blocks; if 0, these are order-0 pages.
 * @nr_pages: number of pages.
 * @pages: vm_struct::pages of the area.
 */
struct execmem_backing {
	unsigned int nr_blocks;
	unsigned int nr_pages;
	struct page *pages[] __counted_by(nr_pages);
};

static struct execmem_backing *backing_of(const struct vm_struct *area)
{
	return container_of((void *)area->pages, struct execmem_backing, pages);
}

/*
 * === Pages ===============================================================
 *
 * Text is no secret: it may be in a hibernation image. What is not allowed there
 * prevents one, so that is said of each page as soon as it is in use.
 */

static void put_blocks(struct execmem_backing *b, unsigned int nr)
{
	struct page *page;

	while (nr--) {
		page = b->pages[nr * UNMAPPED_BLOCK_PAGES];
		unmapped_image_deny(page, PMD_ORDER);
		unmapped_block_free(page);
	}
}

static bool get_blocks(struct execmem_backing *b)
{
	struct page *page;
	unsigned int i, j;

	for (i = 0; i < b->nr_blocks; i++) {
		page = unmapped_block_alloc(BLOCK_GFP);
		if (!page) {
			put_blocks(b, i);
			return false;
		}
		unmapped_image_allow(page, PMD_ORDER);
		for (j = 0; j < UNMAPPED_BLOCK_PAGES; j++)
			b->pages[i * UNMAPPED_BLOCK_PAGES + j] = page + j;
	}
	return true;
}

static void put_singles(struct page **pages, unsigned int nr)
{
	while (nr--) {
		unmapped_image_deny(pages[nr], 0);
		unmapped_pages_free(pages[nr], 0);
	}
}

/* Get @nr pages with a single refill at most. */
static bool get_fragment(struct page **pages, unsigned int nr)
{
	unsigned int i, order = get_order((unsigned long)nr << PAGE_SHIFT);
	struct page *page;

	if (order > PMD_ORDER)
		return false;

	page = unmapped_pages_alloc(TEXT_GFP, order);
	if (!page)
		return false;

	split_page(page, order);
	for (i = 0; i < nr; i++) {
		pages[i] = page + i;
		unmapped_image_allow(pages[i], 0);
	}
	for (; i < 1U << order; i++)
		unmapped_pages_free(page + i, 0);
	return true;
}

/* Without blocking, only pages that are unmapped already are found. */
static unsigned int get_cached(struct page **pages, unsigned int nr)
{
	unsigned int i, got;

	got = unmapped_pages_alloc_bulk(GFP_NOWAIT, NUMA_NO_NODE, NULL, nr,
					pages);
	for (i = 0; i < got; i++)
		unmapped_image_allow(pages[i], 0);
	return got;
}

static bool get_singles(struct execmem_backing *b)
{
	unsigned int got, nr = b->nr_pages;

	got = get_cached(b->pages, nr);
	if (got < nr && unmapped_refill_split(TEXT_GFP, nr - got))
		got += get_cached(b->pages + got, nr - got);
	if (got == nr || get_fragment(b->pages + got, nr - got))
		return true;

	put_singles(b->pages, got);
	return false;
}

static void put_backing(struct execmem_backing *b)
{
	if (b->nr_blocks)
		put_blocks(b, b->nr_blocks);
	else
		put_singles(b->pages, b->nr_pages);
	kvfree(b);
}

static struct execmem_backing *get_backing(unsigned int nr_pages,
					   unsigned int nr_blocks)
{
	struct execmem_backing *b;

	b = kvmalloc(struct_size(b, pages, nr_pages), GFP_KERNEL);
	if (!b)
		return NULL;

	b->nr_pages = nr_pages;
	b->nr_blocks = nr_blocks;
	if (!(nr_blocks ? get_blocks(b) : get_singles(b))) {
		kvfree(b);
		return NULL;
	}
	return b;
}

/* === Areas =============================================================== */

static struct vm_struct *map_between(struct execmem_backing *b,
				     const struct execmem_range *range,
				     unsigned long start, unsigned long end)
{
	return vmalloc_map_pages(b->pages, b->nr_pages, range->alignment,
				 start, end, PAGE_KERNEL, VM_ALLOW_HUGE_VMAP,
				 GFP_KERNEL | __GFP_NOWARN,
				 __builtin_return_address(0));
}

static struct vm_struct *map_backing(struct execmem_backing *b,
				     const struct execmem_range *range)
{
	struct vm_struct *area;

	area = map_between(b, range, range->start, range->end);
	if (!area && range->fallback_start)
		area = map_between(b, range, range->fallback_start,
				   range->fallback_end);
	return area;
}

/* It is writable until it is full of instructions that trap. */
static int prepare_area(struct vm_struct *area,
			const struct execmem_range *range)
{
	size_t size = get_vm_area_size(area);
	int err;

	if (range->flags & EXECMEM_KASAN_SHADOW) {
		err = kasan_alloc_module_shadow(area->addr, size, GFP_KERNEL);
		if (err)
			return err;
	}

	execmem_fill_trapping_insns(area->addr, size);
	return set_memory_rox((unsigned long)area->addr, area->nr_pages);
}

static void count_text(const struct execmem_backing *b, int sign)
{
	unmapped_text_add(UNMAPPED_TEXT_BYTES,
			  sign * ((long)b->nr_pages << PAGE_SHIFT));
	unmapped_text_add(UNMAPPED_TEXT_BLOCKS, sign * (long)b->nr_blocks);
}

static struct vm_struct *alloc_area(const struct execmem_range *range,
				    unsigned int nr_pages,
				    unsigned int nr_blocks)
{
	struct execmem_backing *b = get_backing(nr_pages, nr_blocks);
	struct vm_struct *area;

	if (!b)
		return NULL;

	area = map_backing(b, range);
	if (!area) {
		put_backing(b);
		return NULL;
	}

	count_text(b, 1);
	if (prepare_area(area, range)) {
		execmem_unmapped_free(area);
		return NULL;
	}
	return area;
}

bool execmem_is_unmapped(enum execmem_type type)
{
	return unmapped_alloc_available() && execmem_is_rox(type);
}

/* Don't take memory for which there can be no addresses. */
static bool fits(const struct execmem_range *range, size_t size)
{
	return size <= range->end - range->start ||
	       size <= range->fallback_end - range->fallback_start;
}

/**
 * execmem_unmapped_alloc() - allocate an area without an alias
 * @range: where it may be.
 * @size: the minimum size in bytes, a multiple of PAGE_SIZE.
 *
 * Context: Process context, may sleep.
 * Return: the area, read-only, executable and full of instructions that trap;
 * or NULL.
 */
struct vm_struct *execmem_unmapped_alloc(const struct execmem_range *range,
					 size_t size)
{
	unsigned int nr_blocks = DIV_ROUND_UP(size, PMD_SIZE);
	struct vm_struct *area;

	if (!unmapped_alloc_available() || !fits(range, size))
		return NULL;

	area = alloc_area(range, nr_blocks * UNMAPPED_BLOCK_PAGES, nr_blocks);
	if (!area && size < SHARED_SIZE)
		area = alloc_area(range, SHARED_SIZE >> PAGE_SHIFT, 0);
	if (!area)
		area = alloc_area(range, size >> PAGE_SHIFT, 0);
	return area;
}

/**
 * execmem_unmapped_free() - free an area without an alias
 * @area: from execmem_unmapped_alloc(), overwritten since it was last used.
 *
 * Context: Process context, may sleep; also in reclaim.
 */
void execmem_unmapped_free(struct vm_struct *area)
{
	struct execmem_backing *b = backing_of(area);

	count_text(b, -1);
	vmalloc_unmap_pages(area);
	put_backing(b);
}

/**
 * execmem_unmapped() - does memory of execmem have no alias?
 * @addr: address of memory that was allocated.
 *
 * Context: Process context.
 * Return: true if it is in an area from execmem_unmapped_alloc().
 */
bool execmem_unmapped(const void *addr)
{
	/* Not by the page tables: others may be about to make large entries. */
	const struct vm_struct *area = find_vm_area(addr);

	return area && unmapped_page(area->pages[0]);
}

/**
 * execmem_unmapped_is_block() - is an area without an alias a single block?
 * @area: from execmem_unmapped_alloc().
 *
 * Context: Any context.
 * Return: true if it is.
 */
bool execmem_unmapped_is_block(const struct vm_struct *area)
{
	return backing_of(area)->nr_blocks == 1;
}

/* === Shrinker ============================================================ */

static unsigned long count_spare(struct shrinker *shrinker,
				 struct shrink_control *sc)
{
	unsigned long nr = execmem_cache_spare();

	return nr ? nr : SHRINK_EMPTY;
}

static unsigned long scan_spare(struct shrinker *shrinker,
				struct shrink_control *sc)
{
	unsigned long freed = execmem_cache_shrink();

	sc->nr_scanned = freed;
	return freed ? freed : SHRINK_STOP;
}

static int __init execmem_unmapped_init(void)
{
	struct shrinker *shrinker;

	if (!unmapped_alloc_available())
		return 0;

	shrinker = shrinker_alloc(0, "mm-execmem");
	if (!shrinker)
		return -ENOMEM;

	shrinker->count_objects = count_spare;
	shrinker->scan_objects = scan_spare;
	/* All of it is freed by one scan, which is due as soon as memory is short. */
	shrinker->seeks = 0;
	shrinker->batch = 1;
	shrinker_register(shrinker);
	return 0;
}

/* After the unmapped page allocator's. */
subsys_initcall(execmem_unmapped_init);
