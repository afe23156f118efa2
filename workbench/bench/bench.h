/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module that measures what pages cost. Built for both kernels of the
 * workbench; loading it does what its parameter says.
 *
 * Time is read by rdtsc. With QEMU's -icount shift=0 that is the number of
 * instructions executed.
 */
#ifndef UNMAPPED_BENCH_H
#define UNMAPPED_BENCH_H

#include <linux/types.h>

struct dentry;
struct page;

/* Say how many ticks each of @n operations took, under a name. */
__printf(3, 4) void bench_say(u64 ticks, unsigned long n, const char *fmt, ...);

/* The address of a function that is not exported, NULL if there is none. */
void *bench_lookup(const char *name);

/* Measure while somebody has an unmapped page; nothing, if nobody can have one. */
int bench_while_used(int (*measure)(void));

/* Things to do; each returns 0 or an error. */
int bench_pages(void);
int bench_orders(void);
int bench_cold(unsigned int order);
int bench_batches(void);
int bench_perpage(void);
int bench_fragment(unsigned int step);
int bench_near(void);
int bench_churn(void);
int bench_dma(void);
int bench_ipi(void);
int bench_locks(struct dentry *dir);

int bench_perpage_init(struct dentry *dir);
void bench_fragment_exit(void);
void bench_locks_exit(void);

/*
 * The way of those who unmap pages one by one: an allocated page is removed from
 * the direct map, with a flush of its own, and is mapped again before it is freed.
 */
int bench_page_unmap(struct page *page);
int bench_page_map(struct page *page);

#endif /* UNMAPPED_BENCH_H */
