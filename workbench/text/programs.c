// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads BPF programs of all sizes and runs each of them once.
 *
 *	programs COUNT [ROUNDS]	load, run and unload so many, in random order
 *	programs COUNT keep	the same once; unload when a line comes on stdin
 *	programs time COUNT	one program of 64 instructions at a time
 *	programs nth COUNT	each allocation of one with COUNT fails in turn
 *
 * Failures are as in modules.c.
 */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "user.h"

#define MAX_COUNT	10000
#define MAX_INSNS	4000

static struct bpf_insn insns[MAX_INSNS];
static int fds[MAX_COUNT];

static int bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* r0 = value, and then 1 is added as often as it takes. */
static int load(unsigned int value, unsigned int nr)
{
	union bpf_attr attr = {
		.prog_type	= BPF_PROG_TYPE_SOCKET_FILTER,
		.insns		= (unsigned long)insns,
		.insn_cnt	= nr,
		.license	= (unsigned long)"GPL",
	};
	unsigned int i;
	int fd;

	insns[0] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = value };
	for (i = 1; i < nr - 1; i++)
		insns[i] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_ADD | BPF_K, .imm = 1 };
	insns[i] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
	loads++;
	arm(true);
	fd = bpf(BPF_PROG_LOAD, &attr);
	arm(false);
	if (fd < 0)
		failed("load", "a program");
	return fd;
}

static void run(int fd, unsigned int expected)
{
	char packet[64] = "";
	union bpf_attr attr = {
		.test = { .prog_fd = fd, .data_in = (unsigned long)packet, .data_size_in = sizeof(packet) },
	};

	if (bpf(BPF_PROG_TEST_RUN, &attr)) {
		failed("run", "a program");
	} else if (attr.test.retval != expected) {
		fprintf(stderr, "a program returned %u, not %u\n", attr.test.retval, expected);
		exit(1);
	}
}

static void load_all(int count)
{
	unsigned int nr;
	int i;

	for (i = 0; i < count; i++) {
		nr = 2 + random_below(i % 10 ? 200 : MAX_INSNS - 1);
		fds[i] = load(i, nr);
		if (fds[i] >= 0)
			run(fds[i], i + nr - 2);
	}
}

static void unload_all(int count)
{
	int i;

	while (count) {
		i = random_below(count);
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = fds[--count];
	}
}

static void measure(int count)
{
	double others, own;
	int i;

	settle();
	others = others_time();
	own = own_time();
	for (i = 0; i < count; i++)
		close(load(i, 64));
	own = own_time() - own;
	settle();
	others = others_time() - others;
	printf("own %.2f\npair %.2f\n", own / count, (own + others) / count);
}

/* The length of the program whose loading is made to fail. */
static int failing;

static bool load_failing(unsigned int nth)
{
	int fd;

	fail_nth = nth;
	fd = load(1, failing);
	fail_nth = 0;
	if (fd < 0)
		return false;
	run(fd, failing - 1);
	close(fd);
	return true;
}

int main(int argc, char **argv)
{
	struct rlimit limit = { MAX_COUNT + 10, MAX_COUNT + 10 };
	bool keep = argc == 3 && !strcmp(argv[2], "keep");
	int count, rounds;

	if (argc == 3 && !strcmp(argv[1], "time")) {
		measure(atoi(argv[2]));
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "nth")) {
		failing = atoi(argv[2]);
		fail_each("load", load_failing);
		return 0;
	}
	count = argc > 1 ? atoi(argv[1]) : 0;
	rounds = argc == 3 && !keep ? atoi(argv[2]) : 1;
	if (count < 1 || count > MAX_COUNT || rounds < 1) {
		fprintf(stderr, "usage: programs COUNT [ROUNDS|keep], or programs time|nth COUNT\n");
		return 2;
	}
	setrlimit(RLIMIT_NOFILE, &limit);
	while (rounds--) {
		load_all(count);
		if (keep) {
			printf("kept\n");
			fflush(stdout);
			getchar();
		}
		unload_all(count);
	}
	print_loads();
	return 0;
}
