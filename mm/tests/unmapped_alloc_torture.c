// SPDX-License-Identifier: GPL-2.0-only
/*
 * Torture test for the unmapped page allocator.
 *
 * Threads allocate, write, check and free pages in all possible ways, while
 * another thread drains the cache and splits up blocks, and CPUs go on- and
 * offline. The test runs until the module is unloaded; then no page may be
 * left. Failures of the direct map and of the page allocator are left to the
 * kernel's fault injection: unmapped_set_direct_map() supports fail_function.
 *
 * Pages are written and read through the mapping that the allocator uses to
 * clear them. Bugs of that mapping itself are left to the KUnit tests. Another
 * thread, on any CPU, reads the addresses where CPUs have that mapping, and the
 * reclaimer searches for any mapping of a page of the allocator.
 */

#define pr_fmt(fmt) fmt

#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/torture.h>
#include <linux/uaccess.h>
#include <linux/unmapped_alloc.h>

#include "../unmapped-alloc.h"

torture_param(int, nworkers, -1, "Number of threads, -1 for two a CPU");
torture_param(int, onoff_holdoff, 5, "Seconds before CPUs go offline");
torture_param(int, onoff_interval, 0, "Jiffies between CPUs going offline, 0 for never");
torture_param(int, stutter, 5, "Seconds to run, and then to halt, 0 for no halt");
torture_param(int, verbose, 1, "Print what is done");

static char *torture_type = "unmapped";

#define NR_SLOTS 48

/**
 * struct slot - a chunk that a thread owns, or none
 * @page: first page.
 * @order: its order.
 * @mark: what was written to it.
 */
struct slot {
	struct page *page;
	unsigned int order;
	unsigned long mark;
};

/**
 * struct worker - a thread
 * @task: the thread.
 * @random: source of its decisions.
 * @slots: the chunks that it owns.
 * @nr_marks: number of chunks that it has marked.
 * @buf: buffer for the contents of a page.
 */
struct worker {
	struct task_struct *task;
	struct torture_random_state random;
	struct slot slots[NR_SLOTS];
	unsigned long nr_marks;
	unsigned long buf[PAGE_SIZE / sizeof(unsigned long)];
};

static struct worker *workers;
static struct task_struct *reclaimer, *reader;

static atomic_long_t n_allocs, n_alloc_fails, n_releases, n_breaks;
static atomic_long_t n_reads, n_errors;

#define ERROR(fmt, ...)							\
do {									\
	if (atomic_long_inc_return(&n_errors) < 10)			\
		pr_alert("%s" TORTURE_FLAG "!!! " fmt "\n",		\
			 torture_type, ##__VA_ARGS__);			\
} while (0)

static bool one_in(struct worker *w, unsigned int n)
{
	return torture_random(&w->random) % n == 0;
}

/* === Contents ============================================================ */

static unsigned long mark_of(const struct slot *slot, unsigned int i)
{
	return slot->mark + i;
}

static void mark_page(struct worker *w, const struct slot *slot, unsigned int i)
{
	unmapped_page_copy(slot->page + i, w->buf, false);
	if (memchr_inv(w->buf, 0, PAGE_SIZE))
		ERROR("page is not zero when it is handed out");
	w->buf[0] = mark_of(slot, i);
	w->buf[ARRAY_SIZE(w->buf) - 1] = mark_of(slot, i);
	unmapped_page_copy(slot->page + i, w->buf, true);
}

static void check_page(struct worker *w, const struct slot *slot, unsigned int i)
{
	unmapped_page_copy(slot->page + i, w->buf, false);
	if (w->buf[0] != mark_of(slot, i) ||
	    w->buf[ARRAY_SIZE(w->buf) - 1] != mark_of(slot, i))
		ERROR("page has another slot's mark");
}

/*
 * kernel_page_present() takes no lock: if the page's block is split up between
 * the lookup of the 2 MiB entry and the read, it sees the entry that points to
 * the new page table, which is present. The entry of a page that is in use
 * never becomes large again, so the second result is for the page's own entry.
 */
static bool in_direct_map(struct page *page)
{
	return kernel_page_present(page) && kernel_page_present(page);
}

static void take_slot(struct worker *w, struct slot *slot, struct page *page,
		      unsigned int order)
{
	unsigned int i;

	slot->page = page;
	slot->order = order;
	slot->mark = (w - workers) << 56 | ++w->nr_marks << 16;
	for (i = 0; i < 1U << order; i++) {
		if (!unmapped_page(page + i) || in_direct_map(page + i))
			ERROR("page is in the direct map");
		mark_page(w, slot, i);
	}
}

/* === Allocating ========================================================== */

static unsigned int random_order(struct worker *w)
{
	if (!one_in(w, 4))
		return 0;
	return torture_random(&w->random) % (one_in(w, 8) ? PMD_ORDER + 1 : 4);
}

static gfp_t random_gfp(struct worker *w)
{
	static const gfp_t gfps[] = {
		GFP_KERNEL, GFP_KERNEL, GFP_KERNEL, GFP_KERNEL, GFP_NOIO,
		GFP_NOWAIT, GFP_ATOMIC,
		/* No process should be killed at the limit of a cgroup. */
		GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL,
		GFP_KERNEL | GFP_DMA32, GFP_KERNEL | __GFP_NORETRY,
	};

	return gfps[torture_random(&w->random) % ARRAY_SIZE(gfps)] | __GFP_NOWARN;
}

/*
 * Allocations of a kernel thread are only charged if it sets the cgroup. Charge
 * them to the one that the thread was moved to.
 */
static struct page *alloc_charged(gfp_t gfp, unsigned int order)
{
	struct mem_cgroup *memcg, *old;
	struct page *page;

	scoped_guard(rcu) {
		memcg = mem_cgroup_from_task(current);
		if (memcg && !css_tryget(&memcg->css))
			memcg = NULL;
	}
	old = set_active_memcg(memcg);
	page = unmapped_pages_alloc(gfp, order);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return page;
}

static void alloc_one(struct worker *w, struct slot *slot)
{
	unsigned int order = random_order(w);
	struct page *page = alloc_charged(random_gfp(w), order);

	atomic_long_inc(page ? &n_allocs : &n_alloc_fails);
	if (page)
		take_slot(w, slot, page, order);
}

static void alloc_many(struct worker *w)
{
	struct page *pages[NR_SLOTS];
	unsigned long nr, i = 0;
	struct slot *slot;

	nr = unmapped_pages_alloc_bulk(random_gfp(w), NUMA_NO_NODE, NULL,
				       NR_SLOTS, pages);
	atomic_long_add(nr, &n_allocs);
	for (slot = w->slots; slot < w->slots + NR_SLOTS && i < nr; slot++)
		if (!slot->page)
			take_slot(w, slot, pages[i++], 0);
	release_pages(pages + i, nr - i);
}

/* === Freeing ============================================================= */

struct free_irq_work {
	struct irq_work work;
	struct slot *slot;
};

static void free_in_irq(struct irq_work *work)
{
	struct slot *slot = container_of(work, struct free_irq_work, work)->slot;

	unmapped_pages_free(slot->page, slot->order);
}

static void free_by_irq_work(struct slot *slot)
{
	struct free_irq_work work = { .slot = slot };

	init_irq_work(&work.work, free_in_irq);
	irq_work_queue(&work.work);
	irq_work_sync(&work.work);
}

/* With PREEMPT_RT, no page may be freed so. */
static void free_irqs_off(struct slot *slot)
{
	unsigned long flags = 0;

	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_irq_save(flags);
	unmapped_pages_free(slot->page, slot->order);
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_irq_restore(flags);
}

static void free_bh_off(struct slot *slot)
{
	local_bh_disable();
	rcu_read_lock();
	unmapped_pages_free(slot->page, slot->order);
	rcu_read_unlock();
	local_bh_enable();
}

/*
 * With another reference, __free_pages() frees a chunk in parts, but does not
 * uncharge each of them, no matter whose pages they are: skip charged ones.
 */
static void free_late(struct slot *slot)
{
	bool late = !slot->order || !PageMemcgKmem(slot->page);

	if (late)
		get_page(slot->page);
	unmapped_pages_free(slot->page, slot->order);
	if (late)
		put_page(slot->page);
}

static void free_one_by_one(struct slot *slot)
{
	unsigned int i;

	split_page(slot->page, slot->order);
	for (i = 0; i < 1U << slot->order; i++)
		__free_page(slot->page + i);
}

static void free_one(struct worker *w, struct slot *slot)
{
	static void (* const frees[])(struct slot *slot) = {
		free_by_irq_work, free_irqs_off, free_bh_off, free_late,
		free_one_by_one,
	};
	unsigned int i;

	for (i = 0; i < 1U << slot->order; i++)
		check_page(w, slot, i);
	if (one_in(w, 2))
		unmapped_pages_free(slot->page, slot->order);
	else
		frees[torture_random(&w->random) % ARRAY_SIZE(frees)](slot);
	slot->page = NULL;
}

/* === Threads ============================================================= */

static int unmapped_torture_worker(void *arg)
{
	struct worker *w = arg;
	struct slot *slot;

	torture_random_init(&w->random);
	set_user_nice(current, MAX_NICE);
#ifdef CONFIG_FAULT_INJECTION
	/* For task-filter: only allocations of these threads should fail. */
	current->make_it_fail = 1;
#endif
	do {
		slot = &w->slots[torture_random(&w->random) % NR_SLOTS];
		if (slot->page)
			free_one(w, slot);
		else if (one_in(w, 32))
			alloc_many(w);
		else
			alloc_one(w, slot);
		cond_resched();
		stutter_wait("unmapped_torture_worker");
	} while (!torture_must_stop());

	for (slot = w->slots; slot < w->slots + NR_SLOTS; slot++)
		if (slot->page)
			free_one(w, slot);
	torture_kthread_stopping("unmapped_torture_worker");
	return 0;
}

static void break_blocks(struct unmapped_node *node)
{
	int i;

	for (i = 0; i < UNMAPPED_NR_ZONES; i++)
		atomic_long_add(unmapped_zone_break_block(&node->zones[i], 1),
				&n_breaks);
}

static int unmapped_torture_reclaimer(void *arg)
{
	DEFINE_TORTURE_RANDOM(random);
	unsigned long seen;
	int nid;

	do {
		for_each_online_node(nid) {
			if (torture_random(&random) % 8 == 0)
				break_blocks(unmapped_node(nid));
			atomic_long_add(unmapped_alloc_drain(nid), &n_releases);
			if (!unmapped_alloc_check(nid))
				ERROR("lists and counters of node %d don't agree", nid);
		}
		if (unmapped_count_mappings(false, &seen))
			ERROR("a page of the allocator is mapped");
		torture_hrtimeout_ms(20, 20 * USEC_PER_MSEC, &random);
		stutter_wait("unmapped_torture_reclaimer");
	} while (!torture_must_stop());
	torture_kthread_stopping("unmapped_torture_reclaimer");
	return 0;
}

/* Speculation of another CPU would read in the same way. */
static void read_clear_area(unsigned int cpu)
{
	unsigned long start, end, addr, word;
	struct mm_struct *mm;

	if (!unmapped_clear_area(&start, &end, cpu, &mm))
		return;
	for (addr = start; addr < end; addr += PAGE_SIZE) {
		pagefault_disable();
		if (!__copy_from_user_inatomic(&word, (void __user *)addr,
					       sizeof(word)))
			ERROR("a page that CPU %u clears is visible", cpu);
		pagefault_enable();
	}
	atomic_long_inc(&n_reads);
}

static int unmapped_torture_reader(void *arg)
{
	unsigned int cpu;

	set_user_nice(current, MAX_NICE);
	do {
		for_each_online_cpu(cpu)
			read_clear_area(cpu);
		cond_resched();
		stutter_wait("unmapped_torture_reader");
	} while (!torture_must_stop());
	torture_kthread_stopping("unmapped_torture_reader");
	return 0;
}

/* === Beginning and end =================================================== */

/* All pages have been freed by now, except those of kernel text. */
static void check_end(void)
{
	long owned = -(unmapped_text_count(UNMAPPED_TEXT_BYTES) >> PAGE_SHIFT);
	struct unmapped_count count;
	int nid;

	for_each_online_node(nid) {
		unmapped_alloc_drain(nid);
		if (!unmapped_alloc_check(nid))
			ERROR("lists and counters of node %d don't agree", nid);
		unmapped_alloc_count(nid, &count);
		owned += count.owned;
		pr_alert("%s" TORTURE_FLAG " node %d: lost: %lu\n",
			 torture_type, nid, count.lost);
	}
	if (owned)
		ERROR("%ld pages are not given back", owned);
}

static void print_stats(void)
{
	pr_alert("%s" TORTURE_FLAG " allocs: %ld failed: %ld errors: %ld\n",
		 torture_type, atomic_long_read(&n_allocs),
		 atomic_long_read(&n_alloc_fails), atomic_long_read(&n_errors));
	pr_alert("%s" TORTURE_FLAG " released: %ld blocks broken: %ld areas read: %ld\n",
		 torture_type, atomic_long_read(&n_releases),
		 atomic_long_read(&n_breaks), atomic_long_read(&n_reads));
}

static void unmapped_torture_cleanup(void)
{
	int i;

	if (torture_cleanup_begin())
		return;

	if (workers) {
		for (i = 0; i < nworkers; i++)
			torture_stop_kthread(unmapped_torture_worker,
					     workers[i].task);
		torture_stop_kthread(unmapped_torture_reclaimer, reclaimer);
		torture_stop_kthread(unmapped_torture_reader, reader);
		check_end();
		print_stats();
	}
	torture_onoff_stats();
	if (atomic_long_read(&n_errors) || !atomic_long_read(&n_allocs))
		TOROUT_STRING("End of test: FAILURE");
	else if (torture_onoff_failures())
		TOROUT_STRING("End of test: HOTPLUG");
	else
		TOROUT_STRING("End of test: SUCCESS");
	kvfree(workers);
	workers = NULL;
	torture_cleanup_end();
}

static int unmapped_torture_start(void)
{
	int i, err;

	if (nworkers < 0)
		nworkers = 2 * num_online_cpus();
	workers = kvzalloc_objs(*workers, nworkers);
	if (!workers)
		return -ENOMEM;

	for (i = 0; i < nworkers; i++) {
		err = torture_create_kthread(unmapped_torture_worker,
					     &workers[i], workers[i].task);
		if (torture_init_error(err))
			return err;
	}
	err = torture_create_kthread(unmapped_torture_reclaimer, NULL, reclaimer);
	if (torture_init_error(err))
		return err;
	err = torture_create_kthread(unmapped_torture_reader, NULL, reader);
	if (torture_init_error(err))
		return err;
	if (stutter > 0) {
		err = torture_stutter_init(stutter * HZ, stutter * HZ / 5);
		if (torture_init_error(err))
			return err;
	}
	if (onoff_interval > 0) {
		err = torture_onoff_init(onoff_holdoff * HZ, onoff_interval, NULL);
		if (torture_init_error(err))
			return err;
	}
	return 0;
}

static int __init unmapped_torture_init(void)
{
	int err;

	if (!unmapped_alloc_available())
		return -ENODEV;
	if (!torture_init_begin(torture_type, verbose))
		return -EBUSY;

	err = unmapped_torture_start();
	torture_init_end();
	if (err)
		unmapped_torture_cleanup();
	return err;
}
module_init(unmapped_torture_init);
module_exit(unmapped_torture_cleanup);

MODULE_DESCRIPTION("Torture test for the unmapped page allocator");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
