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

/* Clear what of the folio is in [@start, @end). */
static void clear_part(struct folio *folio, pgoff_t start, pgoff_t end)
{
	start = max(start, folio->index);
	end = min(end, folio_next_index(folio));
	unmapped_clear_range(folio_file_page(folio, start), end - start);
}

/*
 * If a large folio at @index is partly in [*@start, *@end), split it, or clear
 * the part and take it off the range.
 */
static void trim_range(struct address_space *mapping, pgoff_t index,
		       pgoff_t *start, pgoff_t *end)
{
	struct folio *folio = filemap_lock_folio(mapping, index);
	pgoff_t first, next;

	if (IS_ERR(folio))
		return;

	first = folio->index;
	next = folio_next_index(folio);
	if ((first < *start || next > *end) && split_folio(folio)) {
		clear_part(folio, *start, *end);
		if (first < *start)
			*start = min(next, *end);
		else
			*end = first;
	}
	folio_unlock(folio);
	folio_put(folio);
}

void unmapped_truncate_range(struct address_space *mapping, pgoff_t start,
			     pgoff_t end)
{
	might_sleep();

	if (start < end)
		trim_range(mapping, start, &start, &end);
	if (start < end)
		trim_range(mapping, end - 1, &start, &end);
	if (start < end)
		truncate_inode_pages_range(mapping, (loff_t)start << PAGE_SHIFT,
					   ((loff_t)end << PAGE_SHIFT) - 1);
}
EXPORT_SYMBOL_FOR_CONSUMERS(unmapped_truncate_range);
