// The floor under a runtime: this program makes one container, from a list of system calls that
// was written when it was compiled. It knows no flag, reads no file and has no language runtime. So
// the time that it takes is what the list costs in the kernel, and no runtime that makes the same
// container can be much faster.
//
// What the parent does here is what the runtime does in thisHost.run: a keyring, the child, the id
// maps, the root file system with other owners, and then it waits.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// A check compares a word that a call wrote with another word.
struct check {
	uint64_t *word, *against, mask;
	uint8_t differ;
};

// A call is what it is in runtime/plan: see there.
struct call {
	uint32_t number, error;
	uint64_t args[6], result;
	struct check *check;
	uint16_t allowed[3];
	uint8_t skip, later;
};

// The list: calls and memory, how many calls come before the id maps (FIRST), descriptors that the
// parent opens (RUNTIME, NONE, ROOTFS), namespaces, id maps, and the path of the rootfs.
#include "list.h"

#define COUNT (sizeof calls / sizeof calls[0])
#define FAILED 125

static char stack[1 << 14]; // of the child
static uint32_t ready;      // how many calls the child may make

// make makes a system call. It leaves errno alone, which parent and child would share.
static long make(long number, uint64_t *a)
{
#if defined __x86_64__
	register long r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
#elif defined __aarch64__
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a[0], x1 __asm__("x1") = a[1];
	register long x2 __asm__("x2") = a[2], x3 __asm__("x3") = a[3], x4 __asm__("x4") = a[4];
	register long x5 __asm__("x5") = a[5];
	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
#error "system calls of this architecture"
#endif
}

static int allowed(struct call *c)
{
	return c->error == c->allowed[0] || c->error == c->allowed[1] || c->error == c->allowed[2];
}

// run is what the child does: the function of the same name in runtime/plan.
static __attribute__((noreturn)) int run(void *unused)
{
	(void)unused;
	for (uint32_t i = 0; i < COUNT; i++) {
		for (uint32_t n; (n = __atomic_load_n(&ready, __ATOMIC_ACQUIRE)) <= i;)
			make(SYS_futex, (uint64_t[6]){(uint64_t)&ready, FUTEX_WAIT, n});
		struct call *c = &calls[i];
		uint64_t args[6];
		for (int k = 0; k < 6; k++)
			args[k] = c->later >> k & 1 ? calls[c->args[k]].result : c->args[k];
		long result = make(c->number, args);
		c->result = result;
		c->error = result < 0 && result > -4096 ? -result : 0;
		struct check *check = c->check;
		if (!c->error && check &&
		    ((*check->word & check->mask) == *check->against) == check->differ)
			c->error = REFUSED;
		if (c->error && !allowed(c))
			break;
		if (c->error)
			i += c->skip;
	}
	for (;;)
		make(SYS_exit_group, (uint64_t[6]){FAILED});
}

// release lets the child make n calls.
static void release(uint32_t n)
{
	__atomic_store_n(&ready, n, __ATOMIC_RELEASE);
	syscall(SYS_futex, &ready, FUTEX_WAKE, 1);
}

// decimal writes a number in decimal, and returns where it begins.
static char *decimal(char text[16], unsigned n)
{
	char *start = text + 15;
	*start = 0;
	do
		*--start = '0' + n % 10;
	while (n /= 10);
	return start;
}

// in returns the path /proc/PID/NAME.
static char *in(pid_t pid, const char *name)
{
	static char path[64];
	char text[16];
	strcpy(path, "/proc/");
	strcat(strcat(strcat(path, decimal(text, pid)), "/"), name);
	return path;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -1;
	return close(fd);
}

// open_rootfs puts a detached mount of the rootfs, whose files have the owners that the user
// namespace has for them, at its number.
static int open_rootfs(pid_t pid)
{
	int userns = open(in(pid, "ns/user"), O_RDONLY | O_CLOEXEC);
	int tree = syscall(SYS_open_tree, AT_FDCWD, PATH, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_IDMAP,
		.propagation = 1 << 18, // MS_PRIVATE
		.userns_fd = userns,
	};
	if (userns < 0 || tree < 0 ||
	    syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
		return -1;
	close(userns);
	return dup3(tree, ROOTFS, O_CLOEXEC) < 0 ? -1 : close(tree);
}

static void say(const char *text)
{
	if (write(2, text, strlen(text)) < 0)
		_exit(FAILED);
}

// failed says which step failed: a call of the list by its index, or a line of this file.
static int failed(const char *what, unsigned n, unsigned error)
{
	char text[16];
	say("floor: ");
	say(what);
	say(decimal(text, n));
	say(": error ");
	say(decimal(text, error));
	say("\n");
	return FAILED;
}

#define MUST(call)                                                                                 \
	do                                                                                         \
		if ((call) < 0)                                                                    \
			return failed("floor.c line ", __LINE__, errno);                           \
	while (0)

int main(void)
{
	int self = syscall(SYS_pidfd_open, getpid(), 0);
	MUST(self);
	if (self != RUNTIME)
		MUST(dup3(self, RUNTIME, O_CLOEXEC));
	// What the child opens must not get the numbers of what comes later.
	MUST(dup3(RUNTIME, NONE, O_CLOEXEC));
	MUST(dup3(RUNTIME, ROOTFS, O_CLOEXEC));
	MUST(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0));
	ready = FIRST;
	int flags = NAMESPACES | CLONE_VM | CLONE_FILES | SIGCHLD;
	pid_t pid = clone(run, stack + sizeof stack, flags, 0);
	MUST(pid);
	MUST(write_file(in(pid, "uid_map"), UID_MAP));
	MUST(write_file(in(pid, "gid_map"), GID_MAP));
	MUST(open_rootfs(pid));
	release(COUNT);
	int status;
	MUST(waitpid(pid, &status, 0));
	for (unsigned i = 0; i < COUNT; i++)
		if (calls[i].error && !allowed(&calls[i]))
			return failed("call ", i, calls[i].error);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
