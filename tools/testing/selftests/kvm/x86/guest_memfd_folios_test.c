// SPDX-License-Identifier: GPL-2.0-only
/*
 * Folios of 2 MiB in guest_memfd files without a direct map: where fallocate()
 * adds them, what KVM and userspace map at once, and that no part of one affects
 * another when a hole is punched or memory fails.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/sizes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <asm/kvm_para.h>

#include "kvm_syscalls.h"
#include "kvm_util.h"
#include "numaif.h"
#include "processor.h"
#include "test_util.h"

#include "../../mm/restorer.h"

#define SLOT		1
#define GPA		SZ_4G
#define NR_AREAS	4
#define AREA_PAGES	512
#define NR_PAGES	(NR_AREAS * AREA_PAGES)
#define FILE_SIZE	(NR_AREAS * SZ_2M)

/* The guest's clock is in the second half of this page, marks are in the first. */
#define CLOCK_PAGE	200
#define CLOCK_OFFSET	2048
#define MARK_OFFSET	8

/* Flags of /proc/kpageflags, see <linux/kernel-page-flags.h>. */
#define KPF_THP			22
#define KPF_NO_DIRECT_MAP	27
#define PM_PFN			0x007fffffffffffffull

#define FAULTS		"/sys/kernel/debug/"
#define HARD_OFFLINE	"/sys/devices/system/memory/hard_offline_page"
#define SOFT_OFFLINE	"/sys/devices/system/memory/soft_offline_page"

struct target {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	char *mem;		/* all of the file, NULL if private */
	gpa_t gpa;
	u64 first_page;		/* of the file that is in the slot */
	u64 nr_pages;		/* in the slot */
	u64 pages_2m;		/* without those of the slot */
	int fd;
};

/* === The guest =========================================================== */

enum command { IDLE, READ, WRITE, SET_CLOCK, RACE };

static enum command command;
static u64 guest_base, guest_nr, guest_clock;
/* The marks in the pages of the slot. */
static u64 expected[NR_PAGES];

static u64 *guest_mark(u64 page)
{
	return (u64 *)(guest_base + page * PAGE_SIZE + MARK_OFFSET);
}

static void guest_check_mark(u64 page)
{
	u64 mark = READ_ONCE(*guest_mark(page));

	__GUEST_ASSERT(mark == expected[page], "page %lu has %lx, not %lx", page,
		       mark, expected[page]);
}

/* What the guest is to do with the hole, and how often it did, see test_race(). */
enum race_step { RACE_MAP, RACE_WRITE, RACE_CHECK, RACE_END };

static u64 race_step, race_mark, race_beats;

#define RACE_PAGE	100	/* is always there */
#define RACE_HOLE	3
#define RACE_HOLE_PAGES	7
#define RACE_ROUNDS	500

/* Map the folio again and again, and look into the hole when told to. */
static void guest_race(void)
{
	u64 step, wanted, mark, i;

	do {
		READ_ONCE(*guest_mark(RACE_PAGE));
		step = READ_ONCE(race_step);
		wanted = READ_ONCE(race_mark);
		for (i = 0; i < RACE_HOLE_PAGES; i++) {
			if (step == RACE_WRITE)
				WRITE_ONCE(*guest_mark(RACE_HOLE + i), wanted);
			if (step != RACE_CHECK)
				continue;
			mark = READ_ONCE(*guest_mark(RACE_HOLE + i));
			__GUEST_ASSERT(mark == wanted,
				       "page %lu of the hole has %lx, not %lx",
				       i, mark, wanted);
		}
		WRITE_ONCE(race_beats, race_beats + 1);
	} while (step != RACE_END);
}

static void guest_code(void)
{
	u64 i;

	for (;;) {
		switch (READ_ONCE(command)) {
		case IDLE:
			break;
		case READ:
			for (i = 0; i < guest_nr; i++)
				guest_check_mark(i);
			break;
		case WRITE:
			for (i = 0; i < guest_nr; i++)
				WRITE_ONCE(*guest_mark(i), expected[i]);
			break;
		case SET_CLOCK:
			wrmsr(MSR_KVM_SYSTEM_TIME_NEW, READ_ONCE(guest_clock));
			break;
		case RACE:
			guest_race();
			break;
		}
		GUEST_SYNC(0);
	}
}

static void run_guest_command(struct target *t, enum command cmd)
{
	struct ucall uc;

	command = cmd;
	sync_global_to_guest(t->vm, command);
	sync_global_to_guest(t->vm, expected);
	vcpu_run(t->vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(t->vcpu, KVM_EXIT_IO);
	if (get_ucall(t->vcpu, &uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
	TEST_ASSERT_EQ(uc.cmd, UCALL_SYNC);
}

/* KVM maps the page as long as the clock is on. */
static void set_clock(struct target *t, u64 page, bool on)
{
	guest_clock = t->gpa + page * PAGE_SIZE + CLOCK_OFFSET;
	if (on)
		guest_clock |= KVM_MSR_ENABLED;
	sync_global_to_guest(t->vm, guest_clock);
	run_guest_command(t, SET_CLOCK);
}

static u64 nr_mapped_2m(struct target *t)
{
	return vm_get_stat(t->vm, pages_2m) - t->pages_2m;
}

/* === The target ========================================================== */

static void make_slot(struct target *t, u64 gpa_offset, u64 first_page,
		      void *hva, int level)
{
	size_t size = FILE_SIZE - first_page * PAGE_SIZE;

	t->gpa = GPA + gpa_offset;
	t->first_page = first_page;
	t->nr_pages = size / PAGE_SIZE;

	vm_set_user_memory_region2(t->vm, SLOT, KVM_MEM_GUEST_MEMFD, t->gpa,
				   size, hva, t->fd, first_page * PAGE_SIZE);
	virt_map_level(t->vm, t->gpa, t->gpa, size, level);
	if (!t->mem)
		vm_mem_set_private(t->vm, t->gpa, size);

	guest_base = t->gpa;
	guest_nr = t->nr_pages;
	sync_global_to_guest(t->vm, guest_base);
	sync_global_to_guest(t->vm, guest_nr);
	run_guest_command(t, IDLE);
	t->pages_2m = vm_get_stat(t->vm, pages_2m);
}

static void make_vm(struct target *t, u32 type, u64 flags)
{
	struct vm_shape shape = VM_SHAPE_DEFAULT;

	shape.type = type;
	t->vm = __vm_create_shape_with_one_vcpu(shape, &t->vcpu, 2 * NR_AREAS,
						guest_code);
	t->fd = vm_create_guest_memfd(t->vm, FILE_SIZE,
				      GUEST_MEMFD_FLAG_NO_DIRECT_MAP | flags);
	t->mem = NULL;
}

/*
 * The file's pages from @first_page on are at GPA + @gpa_offset; the guest maps
 * them at @level.
 */
static void make_target_at(struct target *t, u64 gpa_offset, u64 first_page,
			   void *hva, int level)
{
	make_vm(t, KVM_X86_DEFAULT_VM, GUEST_MEMFD_FLAG_MMAP |
				       GUEST_MEMFD_FLAG_INIT_SHARED |
				       GUEST_MEMFD_FLAG_WRITE);
	t->mem = kvm_mmap(FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd);
	TEST_ASSERT_EQ((u64)t->mem % SZ_2M, 0);
	make_slot(t, gpa_offset, first_page, hva, level);
}

/* All of the file is private memory, which the host can't access. */
static void make_private_target(struct target *t, u64 first_page, void *hva,
				int level)
{
	make_vm(t, KVM_X86_SW_PROTECTED_VM, 0);
	make_slot(t, 0, first_page, hva, level);
}

static void make_target(struct target *t)
{
	make_target_at(t, 0, 0, NULL, PG_LEVEL_2M);
}

static void free_target(struct target *t)
{
	if (t->mem)
		kvm_munmap(t->mem, FILE_SIZE);
	close(t->fd);
	kvm_vm_free(t->vm);
}

static void populate(struct target *t)
{
	kvm_fallocate(t->fd, FALLOC_FL_KEEP_SIZE, 0, FILE_SIZE);
}

static void punch(struct target *t, u64 page, u64 nr)
{
	kvm_fallocate(t->fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
		      page * PAGE_SIZE, nr * PAGE_SIZE);
}

static u64 *mark(struct target *t, u64 page)
{
	return (u64 *)(t->mem + page * PAGE_SIZE + MARK_OFFSET);
}

static void expect_marks(struct target *t)
{
	u64 i;

	for (i = 0; i < t->nr_pages; i++)
		TEST_ASSERT(*mark(t, t->first_page + i) == expected[i],
			    "page %lu has %lx, not %lx", i,
			    *mark(t, t->first_page + i), expected[i]);
}

static void expect_zero(struct target *t, u64 page, u64 nr)
{
	const char *mem = t->mem + page * PAGE_SIZE;

	TEST_ASSERT(!mem[0] && !memcmp(mem, mem + 1, nr * PAGE_SIZE - 1),
		    "pages %lu to %lu are not all zero", page, page + nr - 1);
}

static void make_marks(u64 seed)
{
	u64 i;

	for (i = 0; i < NR_PAGES; i++)
		expected[i] = (seed << 32) + i + 1;
}

/* === What the kernel says ================================================ */

/* The number after @name, from the line that begins with @from on. */
static long read_after(const char *file, const char *from, const char *name)
{
	char line[512], word[64];
	FILE *f = fopen(file, "r");
	bool found = !from;
	long value;

	TEST_ASSERT(f, "Failed to open %s, errno = %d", file, errno);
	while (fgets(line, sizeof(line), f)) {
		if (!found) {
			found = !strncmp(line, from, strlen(from));
		} else if (sscanf(line, "%63[^: ]%*[: \t]%ld", word,
				  &value) == 2 && !strcmp(word, name)) {
			fclose(f);
			return value;
		}
	}
	TEST_FAIL("There is no %s in %s", name, file);
	return -1;
}

static u64 nr_resident(struct target *t)
{
	char file[64];

	snprintf(file, sizeof(file), "/proc/self/fdinfo/%d", t->fd);
	return read_after(file, NULL, "resident") * 1024 / PAGE_SIZE;
}

static u64 kib_mapped_2m(struct target *t)
{
	char from[32];

	snprintf(from, sizeof(from), "%lx-", (unsigned long)t->mem);
	return read_after("/proc/self/smaps", from, "FilePmdMapped");
}

static int open_file(const char *file)
{
	int fd = open(file, O_RDONLY);

	TEST_ASSERT(fd >= 0, "Failed to open %s, errno = %d", file, errno);
	return fd;
}

static void read_entries(int fd, u64 index, u64 *entries, int nr)
{
	ssize_t size = nr * sizeof(*entries);

	TEST_ASSERT_EQ(pread(fd, entries, size, index * sizeof(*entries)), size);
}

/* The page frame numbers of contiguous pages, which are faulted in. */
static void read_pfns(const char *mem, u64 *pfns, int nr)
{
	int fd = open_file("/proc/self/pagemap");
	int i;

	for (i = 0; i < nr; i++)
		READ_ONCE(mem[i * PAGE_SIZE]);
	read_entries(fd, (u64)mem / PAGE_SIZE, pfns, nr);
	for (i = 0; i < nr; i++) {
		pfns[i] &= PM_PFN;
		TEST_ASSERT(pfns[i], "Physical addresses can't be read");
	}
	close(fd);
}

/* Is the area one folio?  Else all of its pages must be single ones. */
static bool is_large(struct target *t, int area)
{
	int fd = open_file("/proc/kpageflags");
	u64 pfns[AREA_PAGES], flags;
	int i, nr = 0;

	read_pfns(t->mem + area * SZ_2M, pfns, AREA_PAGES);
	for (i = 0; i < AREA_PAGES; i++) {
		read_entries(fd, pfns[i], &flags, 1);
		TEST_ASSERT(flags & BIT_ULL(KPF_NO_DIRECT_MAP),
			    "page %d of area %d has a direct map", i, area);
		if (!(flags & BIT_ULL(KPF_THP)))
			continue;
		TEST_ASSERT_EQ(pfns[i], pfns[0] + i);
		nr++;
	}
	close(fd);
	TEST_ASSERT(!nr || (nr == AREA_PAGES && pfns[0] % AREA_PAGES == 0),
		    "%d pages of area %d are in large folios", nr, area);
	return nr;
}

#define expect_areas(t, areas...)					\
do {									\
	static const bool large[NR_AREAS] = areas;			\
	int area;							\
									\
	for (area = 0; area < NR_AREAS; area++)				\
		TEST_ASSERT(is_large(t, area) == large[area],		\
			    "area %d should%s be a large folio", area,	\
			    large[area] ? "" : " not");			\
} while (0)

/* === Which areas get a folio ============================================= */

static void test_areas(void)
{
	struct target t;

	make_target(&t);

	populate(&t);
	TEST_ASSERT_EQ(nr_resident(&t), NR_PAGES);
	expect_areas(&t, { true, true, true, true });
	TEST_ASSERT_EQ(kib_mapped_2m(&t), FILE_SIZE / 1024);
	expect_zero(&t, 0, NR_PAGES);

	/* Again: nothing is missing. */
	memset(t.mem, 0xaa, FILE_SIZE);
	populate(&t);
	TEST_ASSERT(t.mem[0] == (char)0xaa &&
		    !memcmp(t.mem, t.mem + 1, FILE_SIZE - 1),
		    "fallocate() should leave existing folios alone");

	/* All of it is given back. */
	punch(&t, 0, NR_PAGES);
	TEST_ASSERT_EQ(nr_resident(&t), 0);

	/* The first area lacks a page, the last as well; one has a page. */
	*mark(&t, 2 * AREA_PAGES + 5) = 1;
	kvm_fallocate(t.fd, FALLOC_FL_KEEP_SIZE, PAGE_SIZE,
		      FILE_SIZE - 2 * PAGE_SIZE);
	TEST_ASSERT_EQ(nr_resident(&t), NR_PAGES - 2);
	TEST_ASSERT_EQ(*mark(&t, 2 * AREA_PAGES + 5), 1);
	expect_areas(&t, { false, true, false, false });

	/* A fault adds a page, not a folio. */
	punch(&t, 0, NR_PAGES);
	READ_ONCE(t.mem[SZ_2M]);
	TEST_ASSERT_EQ(nr_resident(&t), 1);

	free_target(&t);
}

/* A policy for a part of an area. */
static void test_policies(void)
{
	const unsigned long node = 1;
	struct target t;

	make_target(&t);
	TEST_ASSERT(!mbind(t.mem + SZ_2M + SZ_1M, SZ_1M, MPOL_BIND, &node,
			   8 * sizeof(node), 0), "mbind() failed, errno = %d",
		    errno);
	TEST_ASSERT(!mbind(t.mem + 2 * SZ_2M, SZ_2M, MPOL_BIND, &node,
			   8 * sizeof(node), 0), "mbind() failed, errno = %d",
		    errno);
	populate(&t);
	expect_areas(&t, { true, false, true, true });
	free_target(&t);
}

/* === What the guest gets ================================================= */

static bool has_tdp(void)
{
	return host_cpu_is_amd ? get_kvm_amd_param_bool("npt") :
				 get_kvm_intel_param_bool("ept");
}

static void __test_guest(u64 gpa_offset, u64 first_page, void *hva, int level,
			 u64 nr_2m)
{
	struct target t;

	/* With shadow paging, the guest's page tables matter, too. */
	if (!has_tdp() && level == PG_LEVEL_4K)
		nr_2m = 0;

	make_target_at(&t, gpa_offset, first_page, hva, level);
	populate(&t);

	make_marks(1);
	run_guest_command(&t, WRITE);
	TEST_ASSERT_EQ(nr_mapped_2m(&t), nr_2m);
	expect_marks(&t);

	make_marks(2);
	memset(t.mem, 0, FILE_SIZE);
	for (u64 i = 0; i < t.nr_pages; i++)
		*mark(&t, t.first_page + i) = expected[i];
	run_guest_command(&t, READ);
	TEST_ASSERT_EQ(nr_mapped_2m(&t), nr_2m);
	TEST_ASSERT_EQ(nr_resident(&t), NR_PAGES);

	/* What is punched out, is not mapped any more. */
	punch(&t, 0, NR_PAGES);
	TEST_ASSERT_EQ(nr_mapped_2m(&t), 0);
	memset(expected, 0, sizeof(expected));
	run_guest_command(&t, READ);
	TEST_ASSERT_EQ(nr_mapped_2m(&t), 0);
	free_target(&t);
}

static void test_private(u64 first_page, void *hva, int level, u64 nr_2m)
{
	struct target t;

	make_private_target(&t, first_page, hva, level);
	populate(&t);
	make_marks(1);
	run_guest_command(&t, WRITE);
	TEST_ASSERT_EQ(nr_mapped_2m(&t), nr_2m);
	run_guest_command(&t, READ);
	TEST_ASSERT_EQ(nr_resident(&t), NR_PAGES);

	punch(&t, first_page + 3, 7);
	memset(expected + 3, 0, 7 * sizeof(*expected));
	run_guest_command(&t, READ);
	TEST_ASSERT_EQ(nr_mapped_2m(&t), nr_2m - !!nr_2m);
	free_target(&t);
}

static void test_guest(void)
{
	/* The slot's userspace address, where nothing of the guest may end up. */
	const size_t size = FILE_SIZE + SZ_2M;
	char *decoy = kvm_mmap(size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1);
	void *hva;

	memset(decoy, 0x55, size);
	__test_guest(0, 0, NULL, PG_LEVEL_2M, NR_AREAS);
	__test_guest(0, 0, NULL, PG_LEVEL_4K, NR_AREAS);
	/* Its alignment does not matter either. */
	__test_guest(0, 0, decoy + PAGE_SIZE, PG_LEVEL_2M, NR_AREAS);
	__test_guest(0, 0, decoy + PAGE_SIZE, PG_LEVEL_4K, NR_AREAS);
	/* Guest addresses and offsets do not agree. */
	__test_guest(PAGE_SIZE, 0, decoy, PG_LEVEL_4K, 0);
	__test_guest(0, 1, decoy, PG_LEVEL_4K, 0);
	/* They do, but the slot begins in the middle of a folio. */
	__test_guest(PAGE_SIZE, 1, decoy, PG_LEVEL_4K, NR_AREAS - 1);

	/* KVM has private memory only with its newer MMU. */
	if (kvm_check_cap(KVM_CAP_VM_TYPES) & BIT(KVM_X86_SW_PROTECTED_VM)) {
		hva = align_ptr_up(decoy, SZ_2M);
		test_private(0, hva, PG_LEVEL_2M, NR_AREAS);
		test_private(1, hva, PG_LEVEL_4K, 0);
	} else {
		TEST_ASSERT(!has_tdp(),
			    "The test needs CONFIG_KVM_SW_PROTECTED_VM");
	}

	TEST_ASSERT(decoy[0] == 0x55 && !memcmp(decoy, decoy + 1, size - 1),
		    "The guest has written to the slot's userspace address");
	kvm_munmap(decoy, size);
}

/* === Holes =============================================================== */

/* How much of [@page, @page + @nr) is in an area. */
static u64 nr_in_area(int area, u64 page, u64 nr)
{
	u64 start = max_t(u64, page, area * AREA_PAGES);
	u64 end = min_t(u64, page + nr, (area + 1) * AREA_PAGES);

	return start < end ? end - start : 0;
}

/*
 * Punch a hole, with the guest's clock in a page of the first area, or without:
 * as long as KVM has mapped that page, its folio can't be split.
 */
static void __test_hole(u64 page, u64 nr, bool clock)
{
	u64 resident = NR_PAGES, nr_2m = 0, part, i;
	struct target t;
	int area;

	make_target(&t);
	populate(&t);
	memset(t.mem, 0xaa, FILE_SIZE);
	if (clock)
		set_clock(&t, CLOCK_PAGE, true);
	make_marks(page);
	run_guest_command(&t, WRITE);
	TEST_ASSERT_EQ(nr_mapped_2m(&t), NR_AREAS);

	punch(&t, page, nr);

	memset(expected + page, 0, nr * sizeof(*expected));
	for (area = 0; area < NR_AREAS; area++) {
		part = nr_in_area(area, page, nr);
		if (clock && !area && part < AREA_PAGES)
			part = 0;
		resident -= part;
		nr_2m += !part;
	}
	TEST_ASSERT_EQ(nr_resident(&t), resident);
	expect_marks(&t);
	if (!clock || page > CLOCK_PAGE || page + nr <= CLOCK_PAGE)
		expect_zero(&t, page, nr);
	for (i = 0; i < NR_PAGES; i++) {
		if (i < page || i >= page + nr)
			TEST_ASSERT_EQ(t.mem[i * PAGE_SIZE + PAGE_SIZE - 1],
				       (char)0xaa);
	}
	for (area = 0; area < NR_AREAS; area++) {
		part = nr_in_area(area, page, nr);
		TEST_ASSERT_EQ(is_large(&t, area),
			       !part || (clock && !area && part < AREA_PAGES));
	}

	/* The guest sees the same, and the guest's writes go there. */
	run_guest_command(&t, READ);
	TEST_ASSERT_EQ(nr_mapped_2m(&t), nr_2m);
	make_marks(page + 1);
	run_guest_command(&t, WRITE);
	expect_marks(&t);

	if (clock)
		set_clock(&t, CLOCK_PAGE, false);
	free_target(&t);
}

static void test_holes(bool clock)
{
	static const u64 holes[][2] = {
		{ 0, 1 },
		{ 3, 7 },
		{ 511, 1 },
		/* With the page of the clock. */
		{ 100, 300 },
		/* In two folios and more. */
		{ 500, 20 },
		{ 500, 600 },
		{ 1, NR_PAGES - 2 },
		/* One of them, or several. */
		{ 0, AREA_PAGES },
		{ AREA_PAGES, 2 * AREA_PAGES },
		{ 0, AREA_PAGES + 7 },
		{ AREA_PAGES - 7, AREA_PAGES + 7 },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(holes); i++)
		__test_hole(holes[i][0], holes[i][1], clock);
}

static void *run_race(void *target)
{
	run_guest_command(target, RACE);
	return NULL;
}

/* The guest's copy of a variable. */
static u64 *guest_copy(struct target *t, u64 *variable)
{
	return addr_gva2hva(t->vm, (gva_t)variable);
}

/* Until the guest has come round twice.  If it fails, its thread exits. */
static void wait_for_guest(struct target *t)
{
	u64 *beats = guest_copy(t, &race_beats);
	u64 start = READ_ONCE(*beats);

	while (READ_ONCE(*beats) - start < 2)
		sched_yield();
}

/*
 * Once the guest has come to it, the hole's pages have the mark. It may see the
 * mark before the step, so a mark must also suit the step that it follows.
 */
static void tell_guest(struct target *t, enum race_step step, u64 mark)
{
	WRITE_ONCE(*guest_copy(t, &race_mark), mark);
	WRITE_ONCE(*guest_copy(t, &race_step), step);
	wait_for_guest(t);
}

/* Punch a hole; returns what is in it then. */
static u64 race_punch(struct target *t, u64 round)
{
	u64 i;

	if (!t->mem) {
		tell_guest(t, RACE_WRITE, round);
		tell_guest(t, RACE_MAP, round);
	}
	punch(t, RACE_HOLE, RACE_HOLE_PAGES);
	if (!t->mem)
		return 0;

	for (i = 0; i < RACE_HOLE_PAGES; i++)
		*mark(t, RACE_HOLE + i) = round;
	return round;
}

/*
 * A hole is punched while the guest faults on another page of the folio: it must
 * not map what was in the hole.
 */
static void test_race(struct target *t)
{
	pthread_t thread;
	u64 round, mark;

	kvm_pthread_create(&thread, NULL, run_race, t);
	for (round = 1; round <= RACE_ROUNDS; round++) {
		punch(t, 0, AREA_PAGES);
		kvm_fallocate(t->fd, FALLOC_FL_KEEP_SIZE, 0, SZ_2M);
		/* Once the guest has mapped the folio. */
		wait_for_guest(t);

		mark = race_punch(t, round);
		tell_guest(t, RACE_CHECK, mark);
		tell_guest(t, RACE_MAP, mark);
	}
	WRITE_ONCE(*guest_copy(t, &race_step), RACE_END);
	kvm_pthread_join(thread, NULL);
	free_target(t);
}

static void test_races(void)
{
	char *unused = kvm_mmap(FILE_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct target t;

	make_target(&t);
	test_race(&t);

	if (kvm_check_cap(KVM_CAP_VM_TYPES) & BIT(KVM_X86_SW_PROTECTED_VM)) {
		make_private_target(&t, 0, unused, PG_LEVEL_2M);
		test_race(&t);
	}
	kvm_munmap(unused, FILE_SIZE);
}

/* === Failures ============================================================ */

static void set_fail_nth(int fd, int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	TEST_ASSERT_EQ(pwrite(fd, text, len, 0), len);
}

/* Returns whether the requested failure has happened. */
static bool end_fail_nth(int fd)
{
	char text[16] = {};

	TEST_ASSERT(pread(fd, text, sizeof(text) - 1, 0) > 0,
		    "reading fail-nth failed, errno = %d", errno);
	set_fail_nth(fd, 0);
	return !atoi(text);
}

static bool let_allocations_fail(void)
{
	/* Failures are counted down, if they are limited. */
	return !change_file(FAULTS "fail_page_alloc/times", "-1") &&
	       !change_file(FAULTS "failslab/times", "-1") &&
	       !change_file(FAULTS "fail_page_alloc/min-order", "0") &&
	       !change_file(FAULTS "fail_page_alloc/ignore-gfp-wait", "N") &&
	       !change_file(FAULTS "fail_page_alloc/ignore-gfp-highmem", "N") &&
	       !change_file(FAULTS "fail_page_alloc/verbose", "0") &&
	       !change_file(FAULTS "failslab/ignore-gfp-wait", "N") &&
	       !change_file(FAULTS "failslab/verbose", "0");
}

/* Each allocation of a hole's punching fails in turn; it does not matter. */
static void test_failing_split(int fail_fd)
{
	int nth = 0, nr_kept = 0;
	bool failed = true;
	struct target t;
	u64 resident;

	make_target(&t);
	while (failed) {
		punch(&t, 0, NR_PAGES);
		populate(&t);
		make_marks(++nth);
		run_guest_command(&t, WRITE);

		set_fail_nth(fail_fd, nth);
		punch(&t, 500, 20);
		failed = end_fail_nth(fail_fd);

		memset(expected + 500, 0, 20 * sizeof(*expected));
		resident = nr_resident(&t);
		TEST_ASSERT(resident == NR_PAGES || resident == NR_PAGES - 12 ||
			    resident == NR_PAGES - 8 ||
			    resident == NR_PAGES - 20,
			    "%lu pages should not be resident", resident);
		nr_kept += resident != NR_PAGES - 20;
		expect_marks(&t);
		run_guest_command(&t, READ);
	}
	pr_info("punching: %d allocations failed, folio kept %d times\n",
		nth - 1, nr_kept);
	TEST_ASSERT(nr_kept, "A failed allocation should prevent a split");
	free_target(&t);
}

/* Each allocation of fallocate() fails in turn. */
static void test_failing_fallocate(int fail_fd)
{
	int nth = 0, nr_small = 0, nr_errors = 0, ret;
	bool failed = true;
	struct target t;

	make_target(&t);
	memset(expected, 0, sizeof(expected));
	while (failed) {
		punch(&t, 0, NR_PAGES);
		TEST_ASSERT(!write_file("/proc/sys/vm/drop_caches", "3"),
			    "Failed to write drop_caches");

		set_fail_nth(fail_fd, ++nth);
		ret = fallocate(t.fd, FALLOC_FL_KEEP_SIZE, 0, SZ_2M);
		TEST_ASSERT(!ret || errno == ENOMEM, "got errno %d", errno);
		failed = end_fail_nth(fail_fd);
		TEST_ASSERT(!ret || failed, "fallocate() failed for no reason");
		nr_errors += !!ret;

		if (!ret) {
			TEST_ASSERT_EQ(nr_resident(&t), AREA_PAGES);
			nr_small += !is_large(&t, 0);
		}
		expect_zero(&t, 0, AREA_PAGES);
		memset(t.mem, 0xaa, SZ_2M);
	}
	pr_info("fallocate(): %d allocations failed, %d errors, single pages %d times\n",
		nth - 1, nr_errors, nr_small);
	TEST_ASSERT(nr_small, "Single pages should replace a folio");
	free_target(&t);
}

static void test_failures(void)
{
	int fail_fd = open("/proc/thread-self/fail-nth", O_RDWR);

	TEST_ASSERT(fail_fd >= 0, "Failed to open fail-nth");
	test_failing_split(fail_fd);
	test_failing_fallocate(fail_fd);
	close(fail_fd);
}

/* === Memory errors ======================================================= */

static sigjmp_buf jump;
static int caught_code;

static void catch_sigbus(int signal, siginfo_t *info, void *context)
{
	caught_code = info->si_code;
	siglongjmp(jump, 1);
}

/* Returns the code of the SIGBUS that the access raises, or 0. */
static int read_byte(const char *mem)
{
	struct sigaction action = { .sa_sigaction = catch_sigbus,
				    .sa_flags = SA_SIGINFO };
	int code = 0;

	sigaction(SIGBUS, &action, NULL);
	if (sigsetjmp(jump, 1))
		code = caught_code;
	else
		READ_ONCE(*mem);
	action.sa_handler = SIG_DFL;
	action.sa_flags = 0;
	sigaction(SIGBUS, &action, NULL);
	return code;
}

/* What prevents a folio with a memory error from being split. */
enum obstacle { NONE, CLOCK, NO_MEMORY };

static void fail_page(struct target *t, u64 page, enum obstacle obstacle)
{
	long failed = read_after("/proc/vmstat", NULL, "thp_split_page_failed");
	int fd = open(HARD_OFFLINE, O_WRONLY), fail_fd = -1, len, err;
	char text[32];
	ssize_t ret;
	u64 pfn;

	read_pfns(t->mem + page * PAGE_SIZE, &pfn, 1);
	len = snprintf(text, sizeof(text), "0x%llx", pfn * PAGE_SIZE);
	if (obstacle == CLOCK)
		set_clock(t, CLOCK_PAGE, true);
	if (obstacle == NO_MEMORY) {
		fail_fd = open("/proc/thread-self/fail-nth", O_RDWR);
		/* The second allocation, after that of write(), is for the split. */
		set_fail_nth(fail_fd, 2);
	}

	ret = write(fd, text, len);
	err = errno;
	if (obstacle == NO_MEMORY) {
		TEST_ASSERT(end_fail_nth(fail_fd), "No allocation failed");
		close(fail_fd);
	}
	close(fd);

	/* Not recovered: contents are lost. */
	TEST_ASSERT_EQ(ret, -1);
	TEST_ASSERT_EQ(err, obstacle == NONE ? EBUSY : EHWPOISON);
	failed = read_after("/proc/vmstat", NULL, "thp_split_page_failed") - failed;
	TEST_ASSERT_EQ(failed, obstacle != NONE);
}

/* Only one page is lost, whether the folio can be split or not. */
static void test_memory_error(enum obstacle obstacle)
{
	const u64 bad = 300;
	struct target t;
	u64 i;

	make_target(&t);
	populate(&t);
	make_marks(3);
	for (i = 0; i < NR_PAGES; i++)
		TEST_ASSERT_EQ(pwrite(t.fd, &expected[i], sizeof(*expected),
				      i * PAGE_SIZE + MARK_OFFSET),
			       sizeof(*expected));
	/* The guest and userspace have all of the folio mapped by one entry each. */
	run_guest_command(&t, READ);
	TEST_ASSERT_EQ(*mark(&t, 0), expected[0]);

	fail_page(&t, bad, obstacle);

	for (i = 0; i < AREA_PAGES; i++) {
		TEST_ASSERT_EQ(read_byte(t.mem + i * PAGE_SIZE),
			       i == bad ? BUS_MCEERR_AR : 0);
		if (i != bad)
			TEST_ASSERT_EQ(*mark(&t, i), expected[i]);
	}
	TEST_ASSERT_EQ(nr_resident(&t), NR_PAGES);
	TEST_ASSERT(pwrite(t.fd, "x", 1, bad * PAGE_SIZE) == -1 && errno == EIO,
		    "Writing to the bad page should fail with EIO");

	/* The guest reads the pages before the bad one. */
	command = READ;
	sync_global_to_guest(t.vm, command);
	sync_global_to_guest(t.vm, expected);
	TEST_ASSERT(_vcpu_run(t.vcpu) == -1 && errno == EHWPOISON,
		    "KVM_RUN should fail with EHWPOISON, got errno %d", errno);
	TEST_ASSERT_EQ(t.vcpu->run->exit_reason, KVM_EXIT_MEMORY_FAULT);
	TEST_ASSERT_EQ(t.vcpu->run->memory_fault.gpa,
		       t.gpa + bad * PAGE_SIZE);
	free_target(&t);
}

/*
 * A page that may fail soon is given up only if its contents can be kept: one that
 * nobody maps, but that was written by write(), must not be dropped.
 */
static void test_soft_offline(void)
{
	const u64 mark = 0x5eedf00d;
	struct target t;
	char text[32];
	int fd, len;
	u64 pfn, read;

	make_target(&t);
	TEST_ASSERT_EQ(pwrite(t.fd, &mark, sizeof(mark), 0), sizeof(mark));
	read_pfns(t.mem, &pfn, 1);
	TEST_ASSERT(!madvise(t.mem, PAGE_SIZE, MADV_DONTNEED), "madvise failed");

	fd = open(SOFT_OFFLINE, O_WRONLY);
	TEST_ASSERT(fd >= 0, "Failed to open %s, errno = %d", SOFT_OFFLINE, errno);
	len = snprintf(text, sizeof(text), "0x%llx", pfn * PAGE_SIZE);
	/* Whatever the answer. */
	(void)!write(fd, text, len);
	close(fd);

	read = READ_ONCE(*(u64 *)t.mem);
	TEST_ASSERT(read == mark, "soft offlining has changed what was written to %lx",
		    (unsigned long)read);
	free_target(&t);
}

int main(int argc, char *argv[])
{
	bool can_fail;
	long before;

	TEST_REQUIRE(kvm_has_guest_memfd_flags(GUEST_MEMFD_FLAG_MMAP |
					       GUEST_MEMFD_FLAG_INIT_SHARED |
					       GUEST_MEMFD_FLAG_NO_DIRECT_MAP |
					       GUEST_MEMFD_FLAG_WRITE));
	TEST_REQUIRE(thp_configured());
	TEST_REQUIRE(!access("/proc/kpageflags", R_OK));

	TEST_ASSERT(!start_restorer(), "Failed to start the restorer");
	can_fail = run_destructive() && let_allocations_fail();

	before = read_unmapped_pages_settled();
	test_areas();
	test_policies();
	test_guest();
	test_holes(false);
	test_holes(true);
	test_races();
	if (can_fail)
		test_failures();
	else
		pr_info("Skipping failures, which need RUN_DESTRUCTIVE=true and CONFIG_FAULT_INJECTION\n");
	TEST_ASSERT_EQ(read_unmapped_pages_settled(), before);

	/* Pages are lost. */
	if (run_destructive() && !access(HARD_OFFLINE, W_OK)) {
		test_soft_offline();
		test_memory_error(NONE);
		test_memory_error(CLOCK);
		if (can_fail)
			test_memory_error(NO_MEMORY);
	} else {
		pr_info("Skipping memory errors, which need RUN_DESTRUCTIVE=true, root and CONFIG_MEMORY_FAILURE\n");
	}

	TEST_ASSERT(!stop_restorer(), "Failed to restore what was changed");
	return 0;
}
