// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapped page allocator: removing a part of a file.
 *
 * truncate_inode_pages_range() tries to split a large folio that is partly in
 * the range. If that fails, it removes all of the folio unless that is dirty,
 * since a file system can read the rest again. Nobody can read unmapped folios
 * again, so the page cache must never lose one.
 */

#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/unmapped_alloc.h>

#include "unmapped-alloc.h"

/* Clear the part of the folio that is in [@start, @end). */
static void clear_part(struct folio *folio, pgoff_t start, pgoff_t end)
{
	start = max(start, folio->index);
	end = min(end, folio_next_index(folio));
	unmapped_clear_range(folio_file_page(folio, start), end - start);
}

/*
 * How often to try again to split a folio while it has more references: whoever
 * waits for its lock, such as a page fault, has one.
 */
#define MAX_RETRIES	3

/*
 * If a large folio at @index is partly in [*@start, *@end), split it, or, if
 * @clear, clear the part and take it off the range. Returns false if it was not
 * split and not cleared, but may be split a moment later.
 */
static bool trim_range(struct address_space *mapping, pgoff_t index,
		       pgoff_t *start, pgoff_t *end, bool clear)
{
	struct folio *folio = filemap_lock_folio(mapping, index);
	pgoff_t first, next;
	int err = 0;

	if (IS_ERR(folio))
		return true;

	first = folio->index;
	next = folio_next_index(folio);
	if (first < *start || next > *end)
		err = split_folio(folio);
	if (err && (err != -EAGAIN || clear)) {
		clear_part(folio, *start, *end);
		if (first < *start)
			*start = min(next, *end);
		else
			*end = first;
		err = 0;
	}
	folio_unlock(folio);
	folio_put(folio);
	return !err;
}

static void trim_range_retry(struct address_space *mapping, pgoff_t index,
			     pgoff_t *start, pgoff_t *end)
{
	int i;

	for (i = 0; i <= MAX_RETRIES; i++) {
		if (trim_range(mapping, index, start, end, i == MAX_RETRIES))
			return;
		cond_resched();
	}
}

void unmapped_truncate_range(struct address_space *mapping, pgoff_t start,
			     pgoff_t end)
{
	might_sleep();

	if (start < end)
		trim_range_retry(mapping, start, &start, &end);
	if (start < end)
		trim_range_retry(mapping, end - 1, &start, &end);
	if (start < end)
		truncate_inode_pages_range(mapping, (loff_t)start << PAGE_SHIFT,
					   ((loff_t)end << PAGE_SHIFT) - 1);
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_truncate_range);
