/* Makes the n-th allocation, or the n-th system call, of a process fail. Loaded
 * into it beforehand (LD_PRELOAD), so that what its libraries ask for counts too.
 *
 *	WEIR_INJECT=alloc:N    malloc, calloc, realloc, aligned_alloc: no memory
 *	WEIR_INJECT=call:N     one of the calls below: an error that it may have
 *
 * Counted from the process' start, over all threads. What was made to fail, and
 * who had asked, is told on stderr:
 *
 *	inject: alloc 17 of malloc from weir+0x1234
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { ALLOC, CALL };

static struct {
	bool armed;
	enum kind kind;
	long at;
	_Atomic long count;
} plan;

__attribute__((constructor)) static void read_plan(void)
{
	const char *text = getenv("WEIR_INJECT");

	if (text == NULL)
		return;
	plan.kind = strncmp(text, "alloc:", 6) == 0 ? ALLOC : CALL;
	plan.at = atol(strchr(text, ':') + 1);
	plan.armed = true;
}

/* Without stdio, which allocates. */
static void tell(const char *what, const void *caller)
{
	static const char *const kinds[] = { [ALLOC] = "alloc", [CALL] = "call" };
	char line[300];
	Dl_info info = { 0 };
	const char *module = "?";
	int length;

	if (dladdr(caller, &info) != 0 && info.dli_fname != NULL)
		module = strrchr(info.dli_fname, '/') ? strrchr(info.dli_fname, '/') + 1 : info.dli_fname;
	length = snprintf(line, sizeof(line), "inject: %s %ld of %s from %s+0x%lx\n", kinds[plan.kind], plan.at, what, module,
			  (unsigned long)((uintptr_t)caller - (uintptr_t)info.dli_fbase));
	syscall(SYS_write, STDERR_FILENO, line, (size_t)length);
}

/* The thread is in pthread_getattr_np(). */
static _Thread_local bool spared __attribute__((tls_model("initial-exec")));

static bool fails(enum kind kind, const char *what, const void *caller)
{
	if (!plan.armed || spared || plan.kind != kind || atomic_fetch_add(&plan.count, 1) + 1 != plan.at)
		return false;
	tell(what, caller);
	return true;
}

/* The function that would have been called without this one. */
#define REAL(name)                                            \
	static __typeof__(name) *real;                        \
	if (real == NULL)                                     \
		real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define FAIL_ALLOC(name)                                                        \
	do {                                                                    \
		if (fails(ALLOC, #name, __builtin_return_address(0))) {         \
			errno = ENOMEM;                                         \
			return NULL;                                            \
		}                                                               \
	} while (0)

/* One of several errors, by the count. */
#define FAIL_CALL(name, ...)                                                    \
	do {                                                                    \
		static const int errors[] = { __VA_ARGS__ };                    \
		if (fails(CALL, #name, __builtin_return_address(0))) {          \
			errno = errors[(unsigned long)plan.at % (sizeof(errors) / sizeof(errors[0]))]; \
			return -1;                                              \
		}                                                               \
	} while (0)

/* ---- memory ---- */

void *malloc(size_t size)
{
	REAL(malloc);
	FAIL_ALLOC(malloc);
	return real(size);
}

void *calloc(size_t count, size_t size)
{
	REAL(calloc);
	FAIL_ALLOC(calloc);
	return real(count, size);
}

void *realloc(void *memory, size_t size)
{
	REAL(realloc);
	FAIL_ALLOC(realloc);
	return real(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	REAL(aligned_alloc);
	FAIL_ALLOC(aligned_alloc);
	return real(alignment, size);
}

/* A sanitizer asks for a new thread's stack, and does not survive without an answer;
 * nobody else does. */
int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
	int error;

	REAL(pthread_getattr_np);
	spared = true;
	error = real(thread, attributes);
	spared = false;
	return error;
}

/* ---- bytes: an error, or fewer than asked for ---- */

static bool is_cut(const char *what, const void *caller)
{
	return plan.at % 3 == 0 && fails(CALL, what, caller);
}

ssize_t read(int fd, void *bytes, size_t length)
{
	REAL(read);
	if (length > 1 && is_cut("read (1 byte)", __builtin_return_address(0)))
		return real(fd, bytes, 1);
	FAIL_CALL(read, EINTR, ECONNRESET, EIO, EAGAIN);
	return real(fd, bytes, length);
}

ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
	REAL(recv);
	if (length > 1 && is_cut("recv (1 byte)", __builtin_return_address(0)))
		return real(fd, bytes, 1, flags);
	FAIL_CALL(recv, EINTR, ECONNRESET, ENOMEM, EAGAIN);
	return real(fd, bytes, length, flags);
}

/* Eight bytes are for an eventfd, which takes them or is full already. */
ssize_t write(int fd, const void *bytes, size_t length)
{
	REAL(write);
	if (length == sizeof(uint64_t))
		return real(fd, bytes, length);
	if (fd != STDERR_FILENO && length > 1 && is_cut("write (1 byte)", __builtin_return_address(0)))
		return real(fd, bytes, 1);
	FAIL_CALL(write, EINTR, EPIPE, ENOSPC, EAGAIN);
	return real(fd, bytes, length);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
	REAL(send);
	if (length > 1 && is_cut("send (1 byte)", __builtin_return_address(0)))
		return real(fd, bytes, 1, flags);
	FAIL_CALL(send, EINTR, EPIPE, ENOBUFS, EAGAIN);
	return real(fd, bytes, length, flags);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	REAL(writev);
	FAIL_CALL(writev, EINTR, EPIPE, ENOBUFS, EAGAIN);
	return real(fd, pieces, count);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(sendmsg);
	FAIL_CALL(sendmsg, EINTR, EPIPE, ENOBUFS, EAGAIN);
	return real(fd, message, flags);
}

/* ---- descriptors ---- */

int socket(int domain, int type, int protocol)
{
	REAL(socket);
	FAIL_CALL(socket, EMFILE, ENOBUFS, ENFILE);
	return real(domain, type, protocol);
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	REAL(bind);
	FAIL_CALL(bind, EADDRINUSE, EACCES);
	return real(fd, address, length);
}

int listen(int fd, int backlog)
{
	REAL(listen);
	FAIL_CALL(listen, EADDRINUSE);
	return real(fd, backlog);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	REAL(connect);
	FAIL_CALL(connect, ECONNREFUSED, ENETUNREACH, EADDRNOTAVAIL, EINTR);
	return real(fd, address, length);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	REAL(accept4);
	FAIL_CALL(accept4, EMFILE, ECONNABORTED, ENOBUFS, EINTR);
	return real(fd, address, length, flags);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	REAL(setsockopt);
	FAIL_CALL(setsockopt, ENOBUFS, ENOPROTOOPT);
	return real(fd, level, name, value, length);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	REAL(getsockopt);
	FAIL_CALL(getsockopt, ENOBUFS);
	return real(fd, level, name, value, length);
}

int shutdown(int fd, int how)
{
	REAL(shutdown);
	FAIL_CALL(shutdown, ENOTCONN);
	return real(fd, how);
}

/* Closed all the same, as the kernel does. */
int close(int fd)
{
	REAL(close);
	if (fails(CALL, "close", __builtin_return_address(0))) {
		real(fd);
		errno = EINTR;
		return -1;
	}
	return real(fd);
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

int open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	REAL(open64);
	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	FAIL_CALL(open64, EMFILE, EACCES, EINTR);
	return real(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	REAL(open);
	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	FAIL_CALL(open, EMFILE, EACCES, EINTR);
	return real(path, flags, mode);
}

static int do_fcntl(int (*real)(int, int, ...), int fd, int command, void *argument, const void *caller)
{
	if (fails(CALL, "fcntl", caller)) {
		errno = EINVAL;
		return -1;
	}
	return real(fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
	va_list args;
	void *argument;

	REAL(fcntl64);
	va_start(args, command);
	argument = va_arg(args, void *);
	va_end(args);
	return do_fcntl(real, fd, command, argument, __builtin_return_address(0));
}

int fcntl(int fd, int command, ...)
{
	va_list args;
	void *argument;

	REAL(fcntl);
	va_start(args, command);
	argument = va_arg(args, void *);
	va_end(args);
	return do_fcntl(real, fd, command, argument, __builtin_return_address(0));
}

/* ---- the event loop ---- */

int epoll_create1(int flags)
{
	REAL(epoll_create1);
	FAIL_CALL(epoll_create1, EMFILE, ENOMEM);
	return real(flags);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl);
	FAIL_CALL(epoll_ctl, ENOMEM, ENOSPC);
	return real(epoll, operation, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
	REAL(epoll_wait);
	FAIL_CALL(epoll_wait, EINTR);
	return real(epoll, events, most, timeout);
}

int eventfd(unsigned initial, int flags)
{
	REAL(eventfd);
	FAIL_CALL(eventfd, EMFILE, ENOMEM);
	return real(initial, flags);
}

int signalfd(int fd, const sigset_t *set, int flags)
{
	REAL(signalfd);
	FAIL_CALL(signalfd, EMFILE, ENOMEM);
	return real(fd, set, flags);
}

int pipe2(int fds[2], int flags)
{
	REAL(pipe2);
	FAIL_CALL(pipe2, EMFILE);
	return real(fds, flags);
}
