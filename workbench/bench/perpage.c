// SPDX-License-Identifier: GPL-2.0-only
/*
 * The per-page way: what secretmem does today, and what was proposed for
 * guest_memfd. Each page is removed from the direct map by itself, with a flush
 * of all CPUs' TLBs.
 *
 * Two files in debugfs do that to all pages of a file: the number of a file
 * descriptor written to "unmap" removes what the file has from the direct map,
 * written to "map" it puts that back. So what guest_memfd would cost in this way
 * can be measured on a kernel that does not have it.
 */

#include <linux/debugfs.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/folio_batch.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timex.h>
#include <linux/uaccess.h>

#include "bench.h"

#define ROUNDS	2048
#define PAGES	4096

static int (*set_invalid)(struct page *page);
static int (*set_default)(struct page *page);
static void (*flush_range)(unsigned long start, unsigned long end);

int bench_page_unmap(struct page *page)
{
	unsigned long addr = (unsigned long)page_address(page);
	int err = set_invalid(page);

	if (!err)
		flush_range(addr, addr + PAGE_SIZE);
	return err;
}

/* Nobody needs a flush: x86 keeps no translation that is not present. */
int bench_page_map(struct page *page)
{
	return set_default(page);
}

static struct page *alloc_unmapped(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (page && bench_page_unmap(page)) {
		__free_page(page);
		return NULL;
	}
	return page;
}

static int free_unmapped(struct page *page)
{
	int err = bench_page_map(page);

	/* A page that can't be mapped can't be freed either. */
	if (err)
		return err;
	clear_highpage(page);
	__free_page(page);
	return 0;
}

/* The same page again and again: the direct map has been split there. */
static int measure_warm(void)
{
	struct page *page = alloc_unmapped();
	u64 alloc = 0, free = 0;
	int i, err = 0;

	for (i = 0; i < ROUNDS && page && !err; i++) {
		u64 start = rdtsc(), between;

		err = free_unmapped(page);
		between = rdtsc();
		free += between - start;
		page = err ? NULL : alloc_unmapped();
		alloc += rdtsc() - between;
	}
	if (!page)
		return err ?: -ENOMEM;
	bench_say(alloc, ROUNDS, "perpage-alloc");
	bench_say(free, ROUNDS, "perpage-free");
	return free_unmapped(page);
}

/* Many pages, most of them in areas that are mapped by a large entry. */
static int measure_cold(struct page **pages)
{
	u64 start, alloc;
	int i, err = 0;

	start = rdtsc();
	for (i = 0; i < PAGES; i++) {
		pages[i] = alloc_unmapped();
		if (!pages[i])
			break;
	}
	alloc = rdtsc() - start;
	if (i < PAGES)
		err = -ENOMEM;
	start = rdtsc();
	while (i-- && !err)
		err = free_unmapped(pages[i]);
	if (err)
		return err;
	bench_say(rdtsc() - start, PAGES, "perpage-cold-free");
	bench_say(alloc, PAGES, "perpage-cold-alloc");
	return 0;
}

int bench_perpage(void)
{
	struct page **pages = kvcalloc(PAGES, sizeof(*pages), GFP_KERNEL);
	int err;

	if (!pages)
		return -ENOMEM;
	err = measure_cold(pages);
	kvfree(pages);
	return err ?: measure_warm();
}

/* Do something with all pages that a file has. */
static int each_page_of(struct file *file, int (*what)(struct page *page))
{
	struct folio_batch batch;
	pgoff_t index = 0;
	long i, j;
	int err = 0;

	folio_batch_init(&batch);
	while (!err && filemap_get_folios(file->f_mapping, &index, ULONG_MAX, &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++)
			for (j = 0; j < folio_nr_pages(batch.folios[i]) && !err; j++)
				err = what(folio_page(batch.folios[i], j));
		folio_batch_release(&batch);
		cond_resched();
	}
	return err;
}

static ssize_t write_fd(const char __user *user, size_t count,
			int (*what)(struct page *page))
{
	struct file *file;
	unsigned int fd;
	int err = kstrtouint_from_user(user, count, 0, &fd);

	if (err)
		return err;
	file = fget(fd);
	if (!file)
		return -EBADF;
	err = each_page_of(file, what);
	fput(file);
	return err ?: count;
}

static ssize_t unmap_write(struct file *file, const char __user *user,
			   size_t count, loff_t *pos)
{
	return write_fd(user, count, bench_page_unmap);
}

static ssize_t map_write(struct file *file, const char __user *user,
			 size_t count, loff_t *pos)
{
	return write_fd(user, count, bench_page_map);
}

static const struct file_operations unmap_fops = {
	.owner	= THIS_MODULE,
	.write	= unmap_write,
};

static const struct file_operations map_fops = {
	.owner	= THIS_MODULE,
	.write	= map_write,
};

int bench_perpage_init(struct dentry *dir)
{
	set_invalid = bench_lookup("set_direct_map_invalid_noflush");
	set_default = bench_lookup("set_direct_map_default_noflush");
	flush_range = bench_lookup("flush_tlb_kernel_range");
	if (!set_invalid || !set_default || !flush_range)
		return -ENOENT;
	debugfs_create_file("unmap", 0200, dir, NULL, &unmap_fops);
	debugfs_create_file("map", 0200, dir, NULL, &map_fops);
	return 0;
}
