// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel answers to each call that takes a mapping or a descriptor of
 * memfd_secret(2): one line for each question, the same on every machine and in
 * every run, so that the lines of two kernels can be compared.
 *
 * Each question is asked in a process of its own, with a new secret. After the
 * answer comes what the pages look like, if they are not as without the question.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/fiemap.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/kernel-page-flags.h>
#include <linux/kvm.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY	0x4000000
#endif
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY	60
#endif

#define PAGE	4096UL
#define PAGES	4
#define SIZE	(PAGES * PAGE)
#define ELSEWHERE	((void *)0x200000000000UL)
#define OTHER_FILE	"/tmp/answers-file"
#define DISK	"/dev/vda"

/* === The secret ========================================================= */

static unsigned char *mem;
static int fd;
static unsigned char copy[2 * PAGE] __attribute__((aligned(PAGE)));
static const struct iovec ours = { copy, 64 };
static struct iovec theirs, all;

static struct {
	/* What a child was answered. */
	long ret;
	int err;
	/* The pages in the current state, if nothing is asked. */
	char pages[128];
} *shared;

static unsigned char *map(int prot)
{
	void *p = mmap(NULL, SIZE, prot, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool make_empty(void)
{
	fd = syscall(SYS_memfd_secret, 0);
	return fd >= 0;
}

static bool make_untouched(void)
{
	if (!make_empty() || ftruncate(fd, SIZE))
		return false;
	mem = map(PROT_READ | PROT_WRITE);
	theirs = (struct iovec){ mem, 64 };
	all = (struct iovec){ mem, SIZE };
	return mem;
}

static bool make_touched(void)
{
	unsigned int i;

	if (!make_untouched())
		return false;
	for (i = 0; i < PAGES; i++)
		memset(mem + i * PAGE, i + 1, PAGE);
	return true;
}

/* Touched through another mapping, so that this one has to find the pages. */
static bool make_read_only(void)
{
	if (!make_touched())
		return false;
	munmap(mem, SIZE);
	mem = map(PROT_READ);
	theirs = (struct iovec){ mem, 64 };
	all = (struct iovec){ mem, SIZE };
	return mem;
}

/* The file ends before the mapping does. */
static bool make_beyond_end(void)
{
	if (!make_empty() || ftruncate(fd, PAGE))
		return false;
	mem = mmap(NULL, PAGE + SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		return false;
	mem[0] = 1;
	mem += PAGE;
	theirs = (struct iovec){ mem, 64 };
	all = (struct iovec){ mem, SIZE };
	return true;
}

/* === What it looks like afterwards ====================================== */

static sigjmp_buf back;

static void jump_back(int sig)
{
	siglongjmp(back, sig);
}

/* The first byte of a page as a digit; x if it can't be read. */
static char first_byte(volatile unsigned char *page)
{
	if (sigsetjmp(back, 1))
		return 'x';
	return *page < 10 ? '0' + *page : '#';
}

static char mapped(const unsigned char *page)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;
	ssize_t got = pread(pagemap, &entry, 8, (uintptr_t)page / PAGE * 8);

	close(pagemap);
	return got == 8 ? '0' + (entry >> 63) : '?';
}

static char resident(unsigned char *page)
{
	unsigned char vec;

	return mincore(page, PAGE, &vec) ? '-' : '0' + (vec & 1);
}

/* The value of a field of /proc/self/status. */
static long status_field(const char *name)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long value = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = atol(line + strlen(name));
	if (f)
		fclose(f);
	return value;
}

static void describe_pages(char *text, size_t size)
{
	const struct sigaction action = { .sa_handler = jump_back };
	char maps[PAGES + 1] = "", cache[PAGES + 1] = "", data[PAGES + 1] = "";
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		maps[i] = mapped(mem + i * PAGE);
		cache[i] = resident(mem + i * PAGE);
	}
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	/* Touches the pages, so this comes last. */
	for (i = 0; i < PAGES; i++)
		data[i] = first_byte(mem + i * PAGE);
	snprintf(text, size, "mapped %s, resident %s, locked %ld kB, data %s", maps, cache,
		 status_field("VmLck:"), data);
}

/* === Asking ============================================================= */

static void show_answer(long ret, int err)
{
	if (ret == -1 && err)
		printf("%s", strerrorname_np(err));
	else
		printf("%ld", ret);
}

struct question {
	const char *name;
	long (*ask)(long arg);
	long arg;
};

static long do_nothing(long result)
{
	return result;
}

static const struct question nothing = { "nothing", do_nothing, 0 };

static void ask_here(const struct question *question)
{
	char pages[sizeof(shared->pages)] = "";
	long ret;

	errno = 0;
	ret = question->ask(question->arg);
	show_answer(ret, errno);
	if (mem)
		describe_pages(pages, sizeof(pages));
	if (question == &nothing)
		strcpy(shared->pages, pages);
	if (question == &nothing ? pages[0] : strcmp(shared->pages, pages))
		printf("; %s", pages);
	fflush(stdout);
	_exit(0);
}

static void ask(const char *state, bool (*make)(void), const struct question *question)
{
	int status;
	pid_t pid;

	printf("%s of %s: ", question->name, state);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (make())
			ask_here(question);
		printf("there is no secret");
		fflush(stdout);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	printf("\n");
}

/* What a child answers, of which this process is the parent. */
static long in_child(long (*ask)(long arg), long arg)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		errno = 0;
		shared->ret = ask(arg);
		shared->err = errno;
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		return 1000 + WTERMSIG(status);
	errno = shared->err;
	return shared->ret;
}

/* 1 if a condition holds, else 0: where an answer is no number. */
static long tell(bool yes)
{
	errno = 0;
	return yes;
}

/* === Ranges ============================================================= */

static long do_madvise(long advice)
{
	return madvise(mem, SIZE, advice);
}

static int pidfd(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

static long do_process_madvise(long advice)
{
	return syscall(SYS_process_madvise, pidfd(getpid()), &all, 1, advice, 0);
}

static long parent_process_madvise(long advice)
{
	return syscall(SYS_process_madvise, pidfd(getppid()), &all, 1, advice, 0);
}

static long remote_process_madvise(long advice)
{
	return in_child(parent_process_madvise, advice);
}

/* A range that begins in the secret and ends in a hole. */
static long do_madvise_hole(long advice)
{
	munmap(mem + SIZE / 2, SIZE / 2);
	return madvise(mem, SIZE, advice);
}

static long do_mlock2(long flags)
{
	return syscall(SYS_mlock2, mem, SIZE, flags);
}

static long do_munlock(long first)
{
	if (first)
		mlock(mem, SIZE);
	return munlock(mem, SIZE);
}

/* Is VM_LOCKED set in the mapping? */
static bool marked_locked(void)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, at = 0;
	bool locked = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%*x ", &start) == 1)
			at = start;
		else if (at == (uintptr_t)mem && !strncmp(line, "VmFlags:", 8))
			locked = strstr(line, " lo ");
	}
	if (f)
		fclose(f);
	return locked;
}

/* Leaves nothing locked, as the size of this program is nobody's answer. */
static long do_mlockall(long flags)
{
	long ret = mlockall(flags);

	if (!ret)
		ret = tell(marked_locked());
	munlockall();
	return ret;
}

static long do_mprotect(long prot)
{
	return mprotect(mem, SIZE, prot);
}

static long do_pkey_mprotect(long prot)
{
	return syscall(SYS_pkey_mprotect, mem, SIZE, prot, -1);
}

static long write_after_mprotect(long prot)
{
	mprotect(mem, SIZE, prot);
	*(volatile unsigned char *)mem = 7;
	return 0;
}

static long mremap_to(size_t old_size, size_t new_size, int flags)
{
	void *p = mremap(mem, old_size, new_size, flags, ELSEWHERE);

	if (p == MAP_FAILED)
		return -1;
	if (p != mem && !(flags & MREMAP_DONTUNMAP))
		mem = p;
	return p == mem;
}

static long do_mremap(long flags)
{
	return mremap_to(SIZE, SIZE, flags);
}

static long do_mremap_grow(long flags)
{
	return mremap_to(SIZE, 2 * SIZE, flags);
}

static long do_mremap_shrink(long flags)
{
	return mremap_to(SIZE, SIZE / 2, flags);
}

static long do_mremap_again(long flags)
{
	return mremap_to(0, SIZE, flags);
}

static long do_msync(long flags)
{
	return msync(mem, SIZE, flags);
}

static long do_mincore(long unused)
{
	unsigned char vec[PAGES];

	(void)unused;
	return mincore(mem, SIZE, vec);
}

static long do_munmap(long size)
{
	return munmap(mem, size);
}

static long do_remap_file_pages(long pgoff)
{
	return remap_file_pages(mem, PAGE, 0, pgoff, 0);
}

static long do_mseal(long flags)
{
	return syscall(__NR_mseal, mem, SIZE, flags);
}

static long munmap_sealed(long unused)
{
	(void)unused;
	syscall(__NR_mseal, mem, SIZE, 0);
	return munmap(mem, SIZE);
}

static long name_range(long unused)
{
	(void)unused;
	return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, mem, SIZE, "secret");
}

/* === Memory policies ==================================================== */

static long do_mbind(long arg)
{
	unsigned long nodes = 1;
	int mode = arg & 0xff;

	return syscall(SYS_mbind, mem, SIZE, mode, mode == MPOL_DEFAULT ? NULL : &nodes,
		       mode == MPOL_DEFAULT ? 0 : 8 * sizeof(nodes), arg >> 8);
}

static long do_get_mempolicy(long flags)
{
	int mode;
	long ret = syscall(SYS_get_mempolicy, &mode, NULL, 0, mem, flags);

	return ret ? ret : 100 + mode;
}

static long get_mempolicy_after_mbind(long flags)
{
	do_mbind(MPOL_BIND);
	return do_get_mempolicy(flags);
}

static long do_home_node(long node)
{
	do_mbind(MPOL_BIND);
	return syscall(SYS_set_mempolicy_home_node, mem, SIZE, node, 0);
}

/* The status of the first page, if the call itself returned 0. */
static long move_pages_of(pid_t pid, long node)
{
	void *pages[] = { mem };
	int nodes[] = { node }, status[] = { 99 };
	long ret = syscall(SYS_move_pages, pid, 1, pages, node < 0 ? NULL : nodes,
			   status, MPOL_MF_MOVE);

	if (ret)
		return ret;
	errno = status[0] < 0 ? -status[0] : 0;
	return status[0] < 0 ? -1 : status[0];
}

static long do_move_pages(long node)
{
	return move_pages_of(0, node);
}

static long parent_move_pages(long node)
{
	return move_pages_of(getppid(), node);
}

static long remote_move_pages(long node)
{
	return in_child(parent_move_pages, node);
}

static long do_migrate_pages(long unused)
{
	unsigned long from = 1, to = 1;

	(void)unused;
	return syscall(SYS_migrate_pages, 0, 8 * sizeof(from), &from, &to);
}

/* === Access by the kernel =============================================== */

static long do_process_vm(long write)
{
	return syscall(write ? SYS_process_vm_writev : SYS_process_vm_readv, getpid(),
		       &ours, 1, &theirs, 1, 0);
}

static long parent_process_vm(long write)
{
	return syscall(write ? SYS_process_vm_writev : SYS_process_vm_readv, getppid(),
		       &ours, 1, &theirs, 1, 0);
}

static long remote_process_vm(long write)
{
	return in_child(parent_process_vm, write);
}

static long proc_mem(pid_t pid, long write)
{
	char name[64];
	int file;

	snprintf(name, sizeof(name), "/proc/%d/mem", pid);
	file = open(name, O_RDWR);
	if (file < 0)
		return -2;
	return write ? pwrite(file, copy, 64, (uintptr_t)mem) :
		       pread(file, copy, 64, (uintptr_t)mem);
}

static long do_proc_mem(long write)
{
	return proc_mem(getpid(), write);
}

static long parent_proc_mem(long write)
{
	return proc_mem(getppid(), write);
}

static long remote_proc_mem(long write)
{
	return in_child(parent_proc_mem, write);
}

static long parent_ptrace(long request)
{
	pid_t pid = getppid();
	long ret;
	int err;

	if (ptrace(PTRACE_ATTACH, pid, 0, 0))
		return -2;
	waitpid(pid, NULL, __WALL);
	errno = 0;
	ret = ptrace(request, pid, mem, 0x0707070707070707);
	err = errno;
	ptrace(PTRACE_DETACH, pid, 0, 0);
	errno = err;
	return ret;
}

static long remote_ptrace(long request)
{
	return in_child(parent_ptrace, request);
}

static long do_vmsplice(long flags)
{
	int ends[2];

	if (pipe(ends))
		return -2;
	return vmsplice(ends[1], &theirs, 1, flags);
}

/* A system call that copies from or to the secret by its user address. */
static long do_copy(long write)
{
	int file = open(write ? "/dev/null" : "/dev/zero", O_RDWR);
	int ends[2];

	if (!write)
		return read(file, mem, 64);
	if (pipe(ends))
		return -2;
	return syscall(SYS_write, ends[1], mem, 64);
}

static long do_getrandom(long unused)
{
	long ret = syscall(SYS_getrandom, mem, 64, 0);

	(void)unused;
	if (ret > 0)
		memset(mem, 3, 64);
	return ret;
}

static long direct_io(long write)
{
	int file = open(DISK, O_RDWR | O_DIRECT);

	if (file < 0)
		return -2;
	return write ? pwrite(file, mem, PAGE, 0) : pread(file, mem, PAGE, 0);
}

static long do_aio(long opcode)
{
	struct iocb iocb = {
		.aio_fildes = open(DISK, O_RDWR | O_DIRECT),
		.aio_lio_opcode = opcode,
		.aio_buf = (uintptr_t)mem,
		.aio_nbytes = PAGE,
	}, *list[] = { &iocb };
	aio_context_t context = 0;
	struct io_event event;
	long ret;

	if (syscall(SYS_io_setup, 1, &context))
		return -2;
	ret = syscall(SYS_io_submit, context, 1, list);
	if (ret != 1)
		return ret;
	syscall(SYS_io_getevents, context, 1, 1, &event, NULL);
	errno = event.res < 0 ? -event.res : 0;
	return event.res < 0 ? -1 : event.res;
}

static long aio_of_descriptor(long opcode)
{
	struct iocb iocb = {
		.aio_fildes = fd,
		.aio_lio_opcode = opcode,
		.aio_buf = (uintptr_t)copy,
		.aio_nbytes = 64,
	}, *list[] = { &iocb };
	aio_context_t context = 0;

	if (syscall(SYS_io_setup, 1, &context))
		return -2;
	return syscall(SYS_io_submit, context, 1, list);
}

static long zerocopy(long flags)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, out = socket(AF_INET, SOCK_DGRAM, 0);

	if (setsockopt(out, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		return -2;
	return sendto(out, mem, 1024, flags, (struct sockaddr *)&to, sizeof(to));
}

static long do_futex(long op)
{
	const struct timespec soon = { .tv_nsec = 1 };
	uint32_t value = 0x01010101, other = 0;

	return syscall(SYS_futex, mem, op, value, &soon, &other, 0);
}

static int ring(struct io_uring_params *params)
{
	return syscall(SYS_io_uring_setup, 4, params);
}

static long ring_register(long opcode)
{
	struct io_uring_buf_reg buffers = { .ring_addr = (uintptr_t)mem, .ring_entries = 16 };
	struct io_uring_params params = {};
	int uring = ring(&params);
	const void *arg = &all;

	if (opcode == IORING_REGISTER_FILES)
		arg = &fd;
	if (opcode == IORING_REGISTER_PBUF_RING)
		arg = &buffers;
	return uring < 0 ? -2 : syscall(SYS_io_uring_register, uring, opcode, arg, 1);
}

static long ring_memory(long unused)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_NO_MMAP,
		.sq_off.user_addr = (uintptr_t)mem,
		.cq_off.user_addr = (uintptr_t)mem + PAGE,
	};

	(void)unused;
	return ring(&params);
}

/* An operation on the descriptor, whose result comes through the ring. */
static long ring_op(long opcode)
{
	struct io_uring_params params = {};
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqe;
	int uring = ring(&params);
	unsigned char *rings;

	if (uring < 0)
		return -2;
	rings = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, uring, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, uring, IORING_OFF_SQES);
	sqes[0] = (struct io_uring_sqe){ .opcode = opcode, .fd = fd, .len = 64,
					 .addr = (uintptr_t)copy };
	if (opcode == IORING_OP_MADVISE) {
		sqes[0].addr = (uintptr_t)mem;
		sqes[0].len = SIZE;
		sqes[0].fadvise_advice = MADV_POPULATE_WRITE;
	}
	((uint32_t *)(rings + params.sq_off.array))[0] = 0;
	*(volatile uint32_t *)(rings + params.sq_off.tail) = 1;
	if (syscall(SYS_io_uring_enter, uring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -3;
	cqe = (void *)(rings + params.cq_off.cqes);
	errno = cqe->res < 0 ? -cqe->res : 0;
	return cqe->res < 0 ? -1 : cqe->res;
}

static long do_uffd(long mode)
{
	struct uffdio_register range = { { (uintptr_t)mem, SIZE }, mode, 0 };
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		return -2;
	return ioctl(uffd, UFFDIO_REGISTER, &range);
}

static int kvm_with_memory(void)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = SIZE, .userspace_addr = (uintptr_t)mem,
	};
	int kvm = open("/dev/kvm", O_RDWR), guest = ioctl(kvm, KVM_CREATE_VM, 0);

	if (guest < 0)
		return -2;
	return ioctl(guest, KVM_SET_USER_MEMORY_REGION, &region) ? -1 : guest;
}

static long kvm_slot(long unused)
{
	int guest = kvm_with_memory();

	(void)unused;
	return guest < 0 ? guest : tell(true);
}

static long kvm_fault(long unused)
{
	struct kvm_pre_fault_memory range = { .size = SIZE };
	int guest = kvm_with_memory();
	int cpu = guest < 0 ? -1 : ioctl(guest, KVM_CREATE_VCPU, 0);

	(void)unused;
	return cpu < 0 ? -2 : ioctl(cpu, KVM_PRE_FAULT_MEMORY, &range);
}

/* === /proc ============================================================== */

/* The mapping's fields in smaps that are not 0. */
static long do_smaps(long unused)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512], modes[8];
	bool inside = false;
	unsigned long start;
	char *value;

	(void)unused;
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		value = line + strcspn(line, " ");
		if (sscanf(line, "%lx-%*x %7s", &start, modes) == 2) {
			inside = start == (uintptr_t)mem;
			if (inside)
				printf("%s", modes);
		} else if (inside && (atol(value) || !strncmp(line, "VmFlags", 7))) {
			value[0] = 0;
			printf(", %s %s", line, value + 1 + strspn(value + 1, " "));
		}
	}
	printf(": ");
	return 0;
}

/* The flags of the first page's entry in pagemap, without its frame number. */
static long do_pagemap(long unused)
{
	int file = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	(void)unused;
	if (pread(file, &entry, 8, (uintptr_t)mem / PAGE * 8) != 8)
		return -2;
	return entry >> 55 & ~1;
}

static long do_pagemap_scan(long categories)
{
	struct page_region regions[PAGES] = {};
	struct pm_scan_arg arg = {
		.size = sizeof(arg), .start = (uintptr_t)mem,
		.end = (uintptr_t)mem + SIZE, .vec = (uintptr_t)regions,
		.vec_len = PAGES, .category_anyof_mask = categories,
		.return_mask = categories,
	};
	long ret = ioctl(open("/proc/self/pagemap", O_RDONLY), PAGEMAP_SCAN, &arg);

	return ret <= 0 ? ret : 1000 * ret + (long)regions[0].categories;
}

static long do_procmap_query(long build_id)
{
	char name[64], id[64];
	struct procmap_query query = {
		.size = sizeof(query), .query_addr = (uintptr_t)mem,
		.vma_name_addr = (uintptr_t)name, .vma_name_size = sizeof(name),
		.build_id_addr = build_id ? (uintptr_t)id : 0,
		.build_id_size = build_id ? sizeof(id) : 0,
	};
	long ret = ioctl(open("/proc/self/maps", O_RDONLY), PROCMAP_QUERY, &query);

	return ret ? ret : (long)(1000 * query.vma_flags + query.build_id_size);
}

static long do_map_files(long unused)
{
	char name[128];

	(void)unused;
	snprintf(name, sizeof(name), "/proc/self/map_files/%lx-%lx", (long)mem,
		 (long)(mem + SIZE));
	return tell(open(name, O_RDWR) >= 0) ?: -errno;
}

static long do_clear_refs(long what)
{
	char digit = '0' + what;

	return write(open("/proc/self/clear_refs", O_WRONLY), &digit, 1);
}

static uint64_t page_frame(void)
{
	uint64_t entry = 0;

	pread(open("/proc/self/pagemap", O_RDONLY), &entry, 8, (uintptr_t)mem / PAGE * 8);
	return entry & ((1ULL << 55) - 1);
}

/* A number of the first page's frame in /proc, without some bits. */
static long frame_number(const char *file, uint64_t without)
{
	uint64_t value = 0;

	if (!page_frame() || pread(open(file, O_RDONLY), &value, 8, 8 * page_frame()) != 8)
		return -2;
	return value & ~without;
}

static long do_kpagecount(long unused)
{
	(void)unused;
	return frame_number("/proc/kpagecount", 0);
}

/* What depends on when the kernel puts a folio on an LRU list is left out. */
static long do_kpageflags(long unused)
{
	(void)unused;
	return frame_number("/proc/kpageflags", 1 << KPF_LRU | 1 << KPF_ACTIVE |
			    1 << KPF_REFERENCED | 1 << KPF_UNEVICTABLE);
}

/* "soft" or "hard", with the first page's physical address. */
static long offline_page(long how)
{
	char name[64], addr[32];
	int file;

	snprintf(name, sizeof(name), "/sys/devices/system/memory/%s_offline_page", (char *)how);
	file = open(name, O_WRONLY);
	if (file < 0 || !page_frame())
		return -2;
	return write(file, addr, snprintf(addr, sizeof(addr), "0x%llx",
					  (unsigned long long)page_frame() * PAGE)) > 0 ?
	       tell(true) : -1;
}

/* === fork(), limits ===================================================== */

/* A child of a process that has closed the descriptor. */
static long see_and_write(long unused)
{
	bool good = mem[0] == 1;

	(void)unused;
	mem[0] = 5;
	return tell(good);
}

static long fork_after_close(long unused)
{
	close(fd);
	return in_child(see_and_write, unused);
}

static long fork_after(long advice)
{
	if (madvise(mem, SIZE, advice))
		return -2;
	return in_child(see_and_write, 0);
}

static long write_first(long unused)
{
	(void)unused;
	mem[0] = 5;
	return 0;
}

/* With a limit of one page for all secrets of the user. */
static long touch_over_limit(long advice)
{
	const struct rlimit limit = { PAGE, PAGE };
	unsigned int i;

	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (advice)
		return madvise(mem, SIZE, advice);
	for (i = 0; i < PAGES; i++)
		mem[i * PAGE] = 1;
	return 0;
}

/* A second mapping of all pages, of which the first is read. */
static long read_one_page(long unused)
{
	unsigned char *first = mem;

	(void)unused;
	mem = map(PROT_READ | PROT_WRITE);
	munmap(first, SIZE);
	return *(volatile unsigned char *)mem;
}

/* === Descriptors ======================================================== */

static long do_memfd_secret(long flags)
{
	long ret = syscall(SYS_memfd_secret, flags);

	return ret < 0 ? ret : fcntl(ret, F_GETFD);
}

static long do_mmap(long flags)
{
	void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	return p == MAP_FAILED ? -1 : tell(true);
}

static long do_mmap_exec(long prot)
{
	void *p = mmap(NULL, SIZE, prot, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? -1 : tell(true);
}

static long do_mmap_at(long offset)
{
	void *p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, offset);

	return p == MAP_FAILED ? -1 : tell(true);
}

static long do_read(long unused)
{
	(void)unused;
	return read(fd, copy, 64);
}

static long do_preadv2(long flags)
{
	return preadv2(fd, &ours, 1, 0, flags);
}

static long do_write(long unused)
{
	(void)unused;
	return write(fd, copy, 64);
}

static long do_pwritev2(long flags)
{
	return pwritev2(fd, &ours, 1, 0, flags);
}

static long do_lseek(long whence)
{
	return lseek(fd, 0, whence);
}

static long do_fallocate(long mode)
{
	return fallocate(fd, mode, 0, PAGE);
}

static long fallocate_up(long mode)
{
	return fallocate(fd, mode, SIZE, PAGE);
}

static long do_ftruncate(long size)
{
	return ftruncate(fd, size);
}

static long size_after_ftruncate(long size)
{
	struct stat stat;

	ftruncate(fd, size);
	fstat(fd, &stat);
	errno = 0;
	return stat.st_size;
}

static long do_fstat(long unused)
{
	struct stat stat;
	long ret = fstat(fd, &stat);

	(void)unused;
	printf("mode %o, size %ld, %ld blocks, of %ld, %ld links, owner %d: ",
	       stat.st_mode, stat.st_size, stat.st_blocks, stat.st_blksize,
	       stat.st_nlink, stat.st_uid);
	return ret;
}

static long do_statx(long mask)
{
	struct statx stx = {};
	long ret = statx(fd, "", AT_EMPTY_PATH, mask, &stx);

	return ret ? ret : (long)(stx.stx_mask & ~STATX_BTIME) << 8 | !!stx.stx_attributes;
}

static long do_fstatfs(long unused)
{
	struct statfs fs;
	long ret = fstatfs(fd, &fs);

	(void)unused;
	printf("type %lx, blocks of %ld, %ld blocks, flags %lx: ", fs.f_type, fs.f_bsize,
	       fs.f_blocks, fs.f_flags);
	return ret;
}

static long do_fsync(long unused)
{
	(void)unused;
	return fsync(fd);
}

static long do_fdatasync(long unused)
{
	(void)unused;
	return fdatasync(fd);
}

static long do_syncfs(long unused)
{
	(void)unused;
	return syncfs(fd);
}

static int other_file(void)
{
	int file = open(OTHER_FILE, O_RDWR | O_CREAT, 0600);

	ftruncate(file, SIZE);
	return file;
}

static long do_sendfile(long into)
{
	off_t offset = 0;

	return into ? sendfile(fd, other_file(), &offset, 64) :
		      sendfile(other_file(), fd, &offset, 64);
}

static long do_splice(long into)
{
	int ends[2];

	if (pipe(ends) || write(ends[1], copy, 64) != 64)
		return -2;
	return into ? splice(ends[0], NULL, fd, NULL, 64, 0) :
		      splice(fd, NULL, ends[1], NULL, 64, 0);
}

static long do_copy_file_range(long into)
{
	return into ? copy_file_range(other_file(), NULL, fd, NULL, 64, 0) :
		      copy_file_range(fd, NULL, other_file(), NULL, 64, 0);
}

static long copy_to_itself(long unused)
{
	off_t from = 0, to = PAGE;

	(void)unused;
	return copy_file_range(fd, &from, fd, &to, 64, 0);
}

/* The command is in the upper half, its argument in the lower one. */
static long do_fcntl(long arg)
{
	return fcntl(fd, arg >> 32, arg & 0xffffffff);
}

static long do_fcntl_hint(long cmd)
{
	uint64_t hint = RWH_WRITE_LIFE_SHORT;

	return fcntl(fd, cmd, &hint);
}

static long do_fcntl_lock(long cmd)
{
	struct flock lock = { .l_type = F_WRLCK };

	return fcntl(fd, cmd, &lock);
}

static long do_ioctl(long request)
{
	unsigned char arg[4096] = {};

	return ioctl(fd, request, arg);
}

static long do_ficlone(long into)
{
	return into ? ioctl(fd, FICLONE, other_file()) : ioctl(other_file(), FICLONE, fd);
}

static long do_fadvise(long advice)
{
	errno = posix_fadvise(fd, 0, SIZE, advice);
	return errno ? -1 : 0;
}

static long do_readahead(long unused)
{
	(void)unused;
	return readahead(fd, 0, SIZE);
}

static long do_sync_file_range(long flags)
{
	return sync_file_range(fd, 0, SIZE, flags);
}

static long do_cachestat(long unused)
{
	struct cachestat_range range = { 0, SIZE };
	struct cachestat stat = {};
	long ret = syscall(__NR_cachestat, fd, &range, &stat, 0);

	(void)unused;
	return ret ? ret : (long)(stat.nr_cache + 100 * stat.nr_dirty +
				  10000 * stat.nr_evicted);
}

static long do_fsetxattr(long name)
{
	return fsetxattr(fd, (const char *)name, "1", 1, 0);
}

static long do_fgetxattr(long name)
{
	return fgetxattr(fd, (const char *)name, copy, 64);
}

static long do_flistxattr(long unused)
{
	(void)unused;
	return flistxattr(fd, (char *)copy, 64);
}

static long do_fchmod(long mode)
{
	struct stat stat;
	long ret = fchmod(fd, mode);

	fstat(fd, &stat);
	return ret ? ret : (long)stat.st_mode;
}

static long do_fchown(long user)
{
	return fchown(fd, user, user);
}

static long do_futimens(long unused)
{
	(void)unused;
	return futimens(fd, NULL);
}

static long do_flock(long op)
{
	return flock(fd, op);
}

static long do_poll(long events)
{
	struct pollfd one = { .fd = fd, .events = events };
	int ret = poll(&one, 1, 0);

	return ret <= 0 ? ret : 100 + one.revents;
}

static long do_epoll(long events)
{
	struct epoll_event event = { .events = events };

	return epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, fd, &event);
}

static const char *by_proc(void)
{
	static char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return name;
}

static long do_open(long flags)
{
	return open(by_proc(), flags) < 0 ? -1 : tell(true);
}

static long do_truncate(long size)
{
	return truncate(by_proc(), size);
}

static long do_inotify(long mask)
{
	return inotify_add_watch(inotify_init(), by_proc(), mask);
}

static long do_linkat(long unused)
{
	(void)unused;
	return linkat(fd, "", AT_FDCWD, "/tmp/answers-link", AT_EMPTY_PATH);
}

static long do_execveat(long unused)
{
	char *const none[] = { NULL };

	(void)unused;
	return syscall(SYS_execveat, fd, "", none, none, AT_EMPTY_PATH);
}

static long do_handle(long unused)
{
	struct { struct file_handle handle; char rest[128]; } h = { .handle.handle_bytes = 128 };
	int mount;

	(void)unused;
	return name_to_handle_at(fd, "", &h.handle, &mount, AT_EMPTY_PATH);
}

static long do_getdents(long unused)
{
	(void)unused;
	return syscall(SYS_getdents64, fd, copy, 64);
}

static long do_finit_module(long unused)
{
	(void)unused;
	return syscall(SYS_finit_module, fd, "", 0);
}

static long do_swapon(long unused)
{
	(void)unused;
	return syscall(SYS_swapon, by_proc(), 0);
}

static long do_dup_and_close(long unused)
{
	int other = dup(fd);

	(void)unused;
	close(fd);
	fd = other;
	return fcntl(other, F_GETFL);
}

static long link_of_descriptor(long unused)
{
	char name[64] = "";
	long ret = readlink(by_proc(), name, sizeof(name) - 1);

	(void)unused;
	printf("%s: ", name);
	return ret;
}

/* === The questions ====================================================== */

#define NAMED(prefix, ask, value)	{ prefix " " #value, ask, value }
#define ADVICE(ask, prefix)			\
	NAMED(prefix, ask, MADV_NORMAL),	\
	NAMED(prefix, ask, MADV_RANDOM),	\
	NAMED(prefix, ask, MADV_SEQUENTIAL),	\
	NAMED(prefix, ask, MADV_WILLNEED),	\
	NAMED(prefix, ask, MADV_DONTNEED),	\
	NAMED(prefix, ask, MADV_FREE),		\
	NAMED(prefix, ask, MADV_REMOVE),	\
	NAMED(prefix, ask, MADV_DONTFORK),	\
	NAMED(prefix, ask, MADV_DOFORK),	\
	NAMED(prefix, ask, MADV_MERGEABLE),	\
	NAMED(prefix, ask, MADV_UNMERGEABLE),	\
	NAMED(prefix, ask, MADV_HUGEPAGE),	\
	NAMED(prefix, ask, MADV_NOHUGEPAGE),	\
	NAMED(prefix, ask, MADV_DONTDUMP),	\
	NAMED(prefix, ask, MADV_DODUMP),	\
	NAMED(prefix, ask, MADV_WIPEONFORK),	\
	NAMED(prefix, ask, MADV_KEEPONFORK),	\
	NAMED(prefix, ask, MADV_COLD),		\
	NAMED(prefix, ask, MADV_PAGEOUT),	\
	NAMED(prefix, ask, MADV_POPULATE_READ),	\
	NAMED(prefix, ask, MADV_POPULATE_WRITE), \
	NAMED(prefix, ask, MADV_DONTNEED_LOCKED), \
	NAMED(prefix, ask, MADV_COLLAPSE),	\
	NAMED(prefix, ask, MADV_HWPOISON),	\
	NAMED(prefix, ask, MADV_SOFT_OFFLINE),	\
	NAMED(prefix, ask, MADV_GUARD_INSTALL),	\
	NAMED(prefix, ask, MADV_GUARD_REMOVE),	\
	{ prefix " of an unknown advice", ask, 99 }

static const struct question of_ranges[] = {
	ADVICE(do_madvise, "madvise"),
	ADVICE(do_process_madvise, "process_madvise"),
	ADVICE(remote_process_madvise, "process_madvise by a child"),
	{ "mlock", do_mlock2, 0 },
	NAMED("mlock2", do_mlock2, MLOCK_ONFAULT),
	{ "munlock", do_munlock, 0 },
	{ "munlock after mlock", do_munlock, 1 },
	NAMED("mlockall", do_mlockall, MCL_CURRENT),
	NAMED("mlockall", do_mlockall, MCL_CURRENT | MCL_ONFAULT),
	NAMED("mprotect", do_mprotect, PROT_NONE),
	NAMED("mprotect", do_mprotect, PROT_READ),
	NAMED("mprotect", do_mprotect, PROT_READ | PROT_WRITE),
	NAMED("mprotect", do_mprotect, PROT_READ | PROT_WRITE | PROT_EXEC),
	NAMED("pkey_mprotect", do_pkey_mprotect, PROT_READ),
	NAMED("write after mprotect", write_after_mprotect, PROT_NONE),
	NAMED("write after mprotect", write_after_mprotect, PROT_READ),
	NAMED("write after mprotect", write_after_mprotect, PROT_READ | PROT_WRITE),
	NAMED("mremap", do_mremap, 0),
	NAMED("mremap", do_mremap, MREMAP_MAYMOVE | MREMAP_FIXED),
	NAMED("mremap", do_mremap, MREMAP_MAYMOVE | MREMAP_DONTUNMAP),
	NAMED("mremap to grow", do_mremap_grow, MREMAP_MAYMOVE | MREMAP_FIXED),
	NAMED("mremap to shrink", do_mremap_shrink, MREMAP_MAYMOVE),
	NAMED("mremap of size 0", do_mremap_again, MREMAP_MAYMOVE | MREMAP_FIXED),
	NAMED("msync", do_msync, MS_ASYNC),
	NAMED("msync", do_msync, MS_SYNC),
	NAMED("msync", do_msync, MS_SYNC | MS_INVALIDATE),
	{ "mincore", do_mincore, 0 },
	NAMED("munmap", do_munmap, PAGE),
	NAMED("munmap", do_munmap, SIZE),
	{ "remap_file_pages", do_remap_file_pages, 2 },
	{ "mseal", do_mseal, 0 },
	{ "munmap after mseal", munmap_sealed, 0 },
	{ "PR_SET_VMA_ANON_NAME", name_range, 0 },
	NAMED("mbind", do_mbind, MPOL_DEFAULT),
	NAMED("mbind", do_mbind, MPOL_BIND),
	NAMED("mbind", do_mbind, MPOL_PREFERRED),
	NAMED("mbind", do_mbind, MPOL_INTERLEAVE),
	NAMED("mbind", do_mbind, MPOL_LOCAL),
	NAMED("mbind", do_mbind, MPOL_BIND | MPOL_MF_STRICT << 8),
	NAMED("mbind", do_mbind, MPOL_BIND | MPOL_MF_MOVE << 8),
	NAMED("mbind", do_mbind, MPOL_BIND | MPOL_MF_MOVE_ALL << 8),
	NAMED("get_mempolicy", do_get_mempolicy, MPOL_F_ADDR),
	NAMED("get_mempolicy", do_get_mempolicy, MPOL_F_ADDR | MPOL_F_NODE),
	NAMED("get_mempolicy after mbind", get_mempolicy_after_mbind, MPOL_F_ADDR),
	{ "set_mempolicy_home_node", do_home_node, 0 },
	{ "move_pages to node 0", do_move_pages, 0 },
	{ "move_pages to node 7", do_move_pages, 7 },
	{ "move_pages to no node", do_move_pages, -1 },
	{ "move_pages by a child to node 0", remote_move_pages, 0 },
	{ "move_pages by a child to no node", remote_move_pages, -1 },
	{ "migrate_pages", do_migrate_pages, 0 },
	{ "process_vm_readv", do_process_vm, false },
	{ "process_vm_writev", do_process_vm, true },
	{ "process_vm_readv by a child", remote_process_vm, false },
	{ "process_vm_writev by a child", remote_process_vm, true },
	{ "read of /proc/self/mem", do_proc_mem, false },
	{ "write of /proc/self/mem", do_proc_mem, true },
	{ "read of /proc/PID/mem by a child", remote_proc_mem, false },
	{ "write of /proc/PID/mem by a child", remote_proc_mem, true },
	NAMED("ptrace by a child", remote_ptrace, PTRACE_PEEKDATA),
	NAMED("ptrace by a child", remote_ptrace, PTRACE_POKEDATA),
	{ "vmsplice", do_vmsplice, 0 },
	NAMED("vmsplice", do_vmsplice, SPLICE_F_GIFT),
	{ "read into", do_copy, false },
	{ "write from", do_copy, true },
	{ "getrandom", do_getrandom, 0 },
	{ "direct read into", direct_io, false },
	{ "direct write from", direct_io, true },
	NAMED("io_submit", do_aio, IOCB_CMD_PREAD),
	NAMED("io_submit", do_aio, IOCB_CMD_PWRITE),
	{ "sendto", zerocopy, 0 },
	NAMED("sendto", zerocopy, MSG_ZEROCOPY),
	NAMED("futex", do_futex, FUTEX_WAIT),
	NAMED("futex", do_futex, FUTEX_WAIT_PRIVATE),
	NAMED("futex", do_futex, FUTEX_WAKE),
	NAMED("futex", do_futex, FUTEX_WAKE_PRIVATE),
	NAMED("futex", do_futex, FUTEX_LOCK_PI),
	NAMED("io_uring_register", ring_register, IORING_REGISTER_BUFFERS),
	NAMED("io_uring_register", ring_register, IORING_REGISTER_PBUF_RING),
	NAMED("io_uring", ring_op, IORING_OP_MADVISE),
	{ "io_uring_setup in", ring_memory, 0 },
	NAMED("userfaultfd", do_uffd, UFFDIO_REGISTER_MODE_MISSING),
	NAMED("userfaultfd", do_uffd, UFFDIO_REGISTER_MODE_WP),
	NAMED("userfaultfd", do_uffd, UFFDIO_REGISTER_MODE_MINOR),
	{ "KVM_SET_USER_MEMORY_REGION", kvm_slot, 0 },
	{ "KVM_PRE_FAULT_MEMORY", kvm_fault, 0 },
	{ "smaps", do_smaps, 0 },
	{ "pagemap", do_pagemap, 0 },
	NAMED("PAGEMAP_SCAN", do_pagemap_scan, PAGE_IS_PRESENT | PAGE_IS_FILE | PAGE_IS_WRITTEN),
	{ "PROCMAP_QUERY", do_procmap_query, false },
	{ "PROCMAP_QUERY with build ID", do_procmap_query, true },
	{ "/proc/self/map_files", do_map_files, 0 },
	{ "/proc/self/clear_refs 1", do_clear_refs, 1 },
	{ "/proc/self/clear_refs 3", do_clear_refs, 3 },
	{ "write by a child", fork_after_close, 0 },
	NAMED("write by a child after", fork_after, MADV_DONTFORK),
	{ "write", write_first, 0 },
	{ "write over RLIMIT_MEMLOCK", touch_over_limit, 0 },
	NAMED("RLIMIT_MEMLOCK", touch_over_limit, MADV_POPULATE_READ),
	NAMED("RLIMIT_MEMLOCK", touch_over_limit, MADV_POPULATE_WRITE),
};

static const struct question of_holes[] = {
	ADVICE(do_madvise_hole, "madvise"),
};

/* The last one loses the page, and an error stays with the file system. */
static const struct question of_frames[] = {
	{ "/proc/kpagecount", do_kpagecount, 0 },
	{ "/proc/kpageflags", do_kpageflags, 0 },
	{ "soft_offline_page", offline_page, (long)"soft" },
	{ "hard_offline_page", offline_page, (long)"hard" },
};

static const struct question of_second_mappings[] = {
	{ "read of one page", read_one_page, 0 },
};

#define FCNTL(cmd, arg)	{ "fcntl " #cmd " " #arg, do_fcntl, (long)(cmd) << 32 | (arg) }

static const struct question of_descriptors[] = {
	{ "ftruncate to 0", do_ftruncate, 0 },
	{ "ftruncate to a page", do_ftruncate, PAGE },
	{ "ftruncate to the same size", do_ftruncate, SIZE },
	{ "ftruncate up", do_ftruncate, 2 * SIZE },
	{ "ftruncate to half a page more", do_ftruncate, SIZE + PAGE / 2 },
	{ "size after ftruncate up", size_after_ftruncate, 2 * SIZE },
	{ "truncate", do_truncate, 2 * SIZE },
	NAMED("mmap", do_mmap, MAP_SHARED),
	NAMED("mmap", do_mmap, MAP_PRIVATE),
	NAMED("mmap", do_mmap, MAP_SHARED_VALIDATE | MAP_SYNC),
	NAMED("mmap", do_mmap, MAP_SHARED_VALIDATE | MAP_DROPPABLE),
	NAMED("mmap", do_mmap, MAP_SHARED | MAP_POPULATE),
	NAMED("mmap", do_mmap, MAP_SHARED | MAP_LOCKED),
	NAMED("mmap", do_mmap, MAP_SHARED | MAP_HUGETLB),
	NAMED("mmap", do_mmap_exec, PROT_READ | PROT_EXEC),
	{ "mmap beyond the end", do_mmap_at, SIZE },
	{ "read", do_read, 0 },
	{ "preadv2", do_preadv2, 0 },
	NAMED("preadv2", do_preadv2, RWF_NOWAIT),
	{ "write", do_write, 0 },
	{ "pwritev2", do_pwritev2, 0 },
	NAMED("pwritev2", do_pwritev2, RWF_APPEND),
	NAMED("lseek", do_lseek, SEEK_SET),
	NAMED("lseek", do_lseek, SEEK_CUR),
	NAMED("lseek", do_lseek, SEEK_END),
	NAMED("lseek", do_lseek, SEEK_DATA),
	NAMED("lseek", do_lseek, SEEK_HOLE),
	NAMED("fallocate", do_fallocate, 0),
	NAMED("fallocate up", fallocate_up, 0),
	NAMED("fallocate", do_fallocate, FALLOC_FL_KEEP_SIZE),
	NAMED("fallocate", do_fallocate, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
	NAMED("fallocate", do_fallocate, FALLOC_FL_COLLAPSE_RANGE),
	NAMED("fallocate", do_fallocate, FALLOC_FL_ZERO_RANGE),
	NAMED("fallocate", do_fallocate, FALLOC_FL_INSERT_RANGE),
	NAMED("fallocate", do_fallocate, FALLOC_FL_UNSHARE_RANGE),
	NAMED("fallocate", do_fallocate, FALLOC_FL_WRITE_ZEROES),
	{ "fstat", do_fstat, 0 },
	NAMED("statx", do_statx, STATX_ALL),
	{ "fstatfs", do_fstatfs, 0 },
	{ "fsync", do_fsync, 0 },
	{ "fdatasync", do_fdatasync, 0 },
	{ "syncfs", do_syncfs, 0 },
	{ "sendfile from", do_sendfile, false },
	{ "sendfile to", do_sendfile, true },
	{ "splice from", do_splice, false },
	{ "splice to", do_splice, true },
	{ "copy_file_range from", do_copy_file_range, false },
	{ "copy_file_range to", do_copy_file_range, true },
	{ "copy_file_range within", copy_to_itself, 0 },
	FCNTL(F_GETFD, 0),
	FCNTL(F_GETFL, 0),
	FCNTL(F_SETFL, O_APPEND),
	FCNTL(F_SETFL, O_DIRECT),
	FCNTL(F_SETFL, O_NONBLOCK),
	FCNTL(F_SETFL, O_NOATIME),
	FCNTL(F_SETFL, O_ASYNC),
	FCNTL(F_GET_SEALS, 0),
	FCNTL(F_ADD_SEALS, F_SEAL_SEAL),
	FCNTL(F_ADD_SEALS, F_SEAL_GROW),
	FCNTL(F_ADD_SEALS, F_SEAL_WRITE),
	FCNTL(F_SETLEASE, F_RDLCK),
	FCNTL(F_SETLEASE, F_WRLCK),
	FCNTL(F_SETLEASE, F_UNLCK),
	FCNTL(F_GETLEASE, 0),
	FCNTL(F_NOTIFY, DN_MODIFY),
	FCNTL(F_GETPIPE_SZ, 0),
	FCNTL(F_SETPIPE_SZ, 4096),
	FCNTL(F_GETSIG, 0),
	FCNTL(F_SETSIG, SIGUSR1),
	FCNTL(F_GETOWN, 0),
	NAMED("fcntl", do_fcntl_hint, F_GET_RW_HINT),
	NAMED("fcntl", do_fcntl_hint, F_SET_RW_HINT),
	NAMED("fcntl", do_fcntl_lock, F_SETLK),
	NAMED("fcntl", do_fcntl_lock, F_OFD_SETLK),
	NAMED("fcntl", do_fcntl_lock, F_GETLK),
	NAMED("ioctl", do_ioctl, FIONREAD),
	NAMED("ioctl", do_ioctl, FIONBIO),
	NAMED("ioctl", do_ioctl, FIOASYNC),
	NAMED("ioctl", do_ioctl, FIOCLEX),
	NAMED("ioctl", do_ioctl, FIBMAP),
	NAMED("ioctl", do_ioctl, FIGETBSZ),
	NAMED("ioctl", do_ioctl, FIFREEZE),
	NAMED("ioctl", do_ioctl, FITRIM),
	NAMED("ioctl", do_ioctl, FIDEDUPERANGE),
	NAMED("ioctl", do_ioctl, FS_IOC_FIEMAP),
	NAMED("ioctl", do_ioctl, FS_IOC_GETFLAGS),
	NAMED("ioctl", do_ioctl, FS_IOC_SETFLAGS),
	NAMED("ioctl", do_ioctl, FS_IOC_FSGETXATTR),
	NAMED("ioctl", do_ioctl, FS_IOC_GETVERSION),
	NAMED("ioctl", do_ioctl, TCGETS),
	{ "ioctl FICLONE from", do_ficlone, false },
	{ "ioctl FICLONE to", do_ficlone, true },
	NAMED("posix_fadvise", do_fadvise, POSIX_FADV_NORMAL),
	NAMED("posix_fadvise", do_fadvise, POSIX_FADV_RANDOM),
	NAMED("posix_fadvise", do_fadvise, POSIX_FADV_SEQUENTIAL),
	NAMED("posix_fadvise", do_fadvise, POSIX_FADV_WILLNEED),
	NAMED("posix_fadvise", do_fadvise, POSIX_FADV_DONTNEED),
	NAMED("posix_fadvise", do_fadvise, POSIX_FADV_NOREUSE),
	{ "posix_fadvise of an unknown advice", do_fadvise, 99 },
	{ "readahead", do_readahead, 0 },
	NAMED("sync_file_range", do_sync_file_range, SYNC_FILE_RANGE_WRITE),
	NAMED("sync_file_range", do_sync_file_range, SYNC_FILE_RANGE_WAIT_BEFORE),
	{ "cachestat", do_cachestat, 0 },
	{ "fsetxattr user.a", do_fsetxattr, (long)"user.a" },
	{ "fsetxattr trusted.a", do_fsetxattr, (long)"trusted.a" },
	{ "fsetxattr security.a", do_fsetxattr, (long)"security.a" },
	{ "fgetxattr user.a", do_fgetxattr, (long)"user.a" },
	{ "fgetxattr security.selinux", do_fgetxattr, (long)"security.selinux" },
	{ "flistxattr", do_flistxattr, 0 },
	{ "fchmod", do_fchmod, 0644 },
	{ "fchown", do_fchown, 1 },
	{ "futimens", do_futimens, 0 },
	NAMED("flock", do_flock, LOCK_EX | LOCK_NB),
	NAMED("poll", do_poll, POLLIN | POLLOUT),
	NAMED("epoll_ctl", do_epoll, EPOLLIN),
	NAMED("open by /proc/self/fd", do_open, O_RDWR),
	NAMED("open by /proc/self/fd", do_open, O_RDONLY),
	NAMED("open by /proc/self/fd", do_open, O_PATH),
	NAMED("inotify_add_watch", do_inotify, IN_MODIFY),
	{ "linkat", do_linkat, 0 },
	{ "execveat", do_execveat, 0 },
	{ "name_to_handle_at", do_handle, 0 },
	{ "getdents64", do_getdents, 0 },
	{ "finit_module", do_finit_module, 0 },
	{ "swapon", do_swapon, 0 },
	{ "fcntl after dup and close", do_dup_and_close, 0 },
	{ "readlink of /proc/self/fd", link_of_descriptor, 0 },
	NAMED("io_submit", aio_of_descriptor, IOCB_CMD_PREAD),
	NAMED("io_submit", aio_of_descriptor, IOCB_CMD_FSYNC),
	NAMED("io_uring_register", ring_register, IORING_REGISTER_FILES),
	NAMED("io_uring", ring_op, IORING_OP_READ),
	NAMED("io_uring", ring_op, IORING_OP_WRITE),
	NAMED("io_uring", ring_op, IORING_OP_FSYNC),
};

static bool make_none(void)
{
	return true;
}

static const struct question of_nothing[] = {
	NAMED("memfd_secret", do_memfd_secret, 0),
	NAMED("memfd_secret", do_memfd_secret, O_CLOEXEC),
	NAMED("memfd_secret", do_memfd_secret, 1),
	NAMED("memfd_secret", do_memfd_secret, O_NONBLOCK),
};

#define ASK_ALL(questions, state, make) do {					\
	size_t i;								\
										\
	ask(state, make, &nothing);						\
	for (i = 0; i < sizeof(questions) / sizeof(*(questions)); i++)		\
		ask(state, make, &(questions)[i]);				\
} while (0)

int main(void)
{
	const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &limit);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASK_ALL(of_nothing, "no secret", make_none);
	ASK_ALL(of_ranges, "untouched pages", make_untouched);
	ASK_ALL(of_ranges, "touched pages", make_touched);
	ASK_ALL(of_ranges, "a read-only mapping", make_read_only);
	ASK_ALL(of_ranges, "what is beyond the end", make_beyond_end);
	ASK_ALL(of_holes, "touched pages and a hole", make_touched);
	ASK_ALL(of_second_mappings, "a second mapping", make_touched);
	ASK_ALL(of_descriptors, "an empty file", make_empty);
	ASK_ALL(of_descriptors, "a file with pages", make_touched);
	ASK_ALL(of_frames, "a page by its address", make_touched);
	return 0;
}
