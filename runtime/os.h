/* SPDX-License-Identifier: MIT */
/*
 * os.h - what the runtime asks of the system: every system call is behind one of these. Part of
 * runtime.h. Another system is another set of os_*.c files.
 */
#ifndef GORO_OS_H
#define GORO_OS_H

/* No function of the API sets errno: what a call leaves there is undone. */
#define QUIETLY(call)                        \
	({                                   \
		int errno_ = errno;          \
		__auto_type quiet_ = (call); \
		errno = errno_;              \
		quiet_;                      \
	})

/* ---- os_linux_faults.c: those of cold.c --------------------------------------------------------
 */

const char *os_faults_open(void); /* NULL: all is well; else why it cannot be */
void os_faults_apart(void);	  /* the caller's thread keeps that descriptor, and no other */
int os_faults_watch(void *addr, size_t size);
/* Where somebody touched, and room for the kernel to say so. */
struct os_faults {
	uintptr_t at[16];
	unsigned char room[1024] __attribute__((aligned(8)));
};
int os_faults_wait(struct os_faults *f, int64_t timeout_ns); /* how many; or -errno */
int os_page_move(void *to, void *from);		 /* 0 or -errno; `to` is watched, and not there */
int os_page_fill(void *page, const void *bytes); /* 0, also if it is there; or -errno */
uint64_t os_signals_block(void);		 /* all of this thread */
void os_signals_restore(uint64_t old);
void os_around_fork(void (*before)(void), void (*parent)(void), void (*child)(void));

/* ---- the other os_linux*.c: every other system call --------------------------------------------
 */

void *os_reserve(size_t size); /* zeroed on first touch; NULL: no memory */
void *os_reserve_aligned(size_t size, size_t align);
void os_huge_pages(void *addr, size_t size); /* if the system has some */
void os_unreserve(void *addr, size_t size);
const void *os_map_file(const char *path, size_t *size);
void os_no_huge_pages(void *addr, size_t size);
void os_discard(void *addr, size_t size);
uintptr_t os_first_resident(uintptr_t lo, uintptr_t hi); /* a page in memory, or hi */
size_t os_page_size(void);
bool os_write_allow(void *addr, size_t size, bool allow);
uint32_t os_most_mappings(void);	   /* that a process may have */
uint32_t os_count_mappings(uint32_t most); /* of ours, or most if there are more or nobody says */
bool os_guard(void *addr, size_t size);
bool os_guard_by_mapping(void *addr, size_t size);
bool os_unguard_discard(void *addr, size_t size, bool mappings);
void os_futex_wait(_Atomic uint32_t *addr, uint32_t val, int64_t timeout_ns); /* < 0: for ever */
void os_futex_wake(_Atomic uint32_t *addr, int n);
void os_membarrier_init(void);
/* Off for this thread, and for those that it starts. False: it is on and must stay so. */
bool os_shadow_stack_off(void);
bool os_membarrier(void);
int os_cores(void);
uint32_t os_tid(void);
int os_thread_start(void (*fn)(void *), void *arg, bool block_signals);
/* What a thread of ours blocks: as it was asked for, for which it has to ask; or all, as it
 * begins. */
void os_thread_signals(bool as_usual);
/* only_if_none: the program may have set one for this thread */
void os_thread_signal_stack(struct m *mp, bool only_if_none);
void os_thread_signal_stack_end(struct m *mp); /* the thread gets back what it came with */
void os_sleep(int64_t ns);
int64_t os_now(void);	     /* CLOCK_MONOTONIC */
int64_t os_thread_now(void); /* what this thread has had of a processor */
int os_pid(void);
typedef void os_signal_fn(int sig, siginfo_t *info, void *ucontext);
void os_signal_take(int sig, os_signal_fn *fn, struct sigaction *old); /* on the signal stack */
void os_signal_take_if_default(int sig, os_signal_fn *fn);
void os_signal_default(int sig);
void os_raise(int sig);
void os_die_of(int sig);
/* This thread's faults and aborts, and a tick every so often, go to fn; then as before. */
void os_report_begin(os_signal_fn *fn);
void os_report_tick(int64_t ns);
bool os_is_tick(int sig);
void os_report_end(void);
/* A signal to one thread, which nobody minds. */
void os_interrupt_take(os_signal_fn *fn);
void os_interrupt(uint32_t tid);
void os_sched_yield(void);
void os_write(int fd, const void *buf, size_t n);
/* So that a report can read symbols in a process that has none left; never 0 to 2. */
void os_free_descriptors(void);
void os_exit_now(int status) __attribute__((noreturn));
void os_main_stack(uintptr_t *lo, uintptr_t *hi);
void os_thread_stack(uintptr_t *lo, uintptr_t *hi);
void os_at_fork(void (*child)(void));
void os_write_to_modules(void);
/* At the end of each thread that has called os_thread_watch(arg), on it: fn(arg). */
int os_at_thread_end(void (*fn)(void *));
int os_thread_watch(void *arg);
void os_thread_exit(void) __attribute__((noreturn));
bool os_thread_lives(uint32_t tid);
/* Is there a thread in the process that `ours` does not know, or are there more than those counted?
 * True if that cannot be found out. */
bool os_other_threads(bool (*ours)(uint32_t tid), uint32_t (*count_ours)(void));

/* Each of these returns -errno when it fails, and leaves errno alone. */
struct os_event {
	uint64_t data;
	bool in, out, hangup;
};

int os_poll_create(void);
int os_poll_add(int poll_fd, int fd, uint64_t data);
void os_poll_remove(int poll_fd, int fd);
/* Who sleeps in os_poll_wait() gets up, with an event of this data;
 * or nobody does: no descriptor. */
#define OS_POLL_ROUSED UINT64_MAX
void os_poll_rouse(int poll_fd);
int os_poll_wait(int poll_fd, struct os_event *events, int max, int64_t timeout_ns);

/*
 * How a descriptor can be waited for. STREAM is a stream socket that we made ourselves: there a
 * short read means that nothing is left, which is not so for a terminal, a packet, or a socket that
 * carries descriptors.
 */
enum fd_kind { FD_UNKNOWN, FD_SOCKET, FD_STREAM, FD_POLLABLE, FD_BLOCKING };
int os_fd_kind(int fd); /* makes sockets non-blocking */

int os_open(const char *path, int flags, unsigned mode);
int os_close(int fd);
ssize_t os_read(int fd, enum fd_kind kind, void *buf, size_t n);
ssize_t os_write_some(int fd, enum fd_kind kind, const void *buf, size_t n);
ssize_t os_pread(int fd, void *buf, size_t n, int64_t offset);
ssize_t os_pwrite(int fd, const void *buf, size_t n, int64_t offset);

struct os_addr {
	uint32_t len;
	int family;
	unsigned char bytes[128] __attribute__((aligned(8)));
};

/* Addresses of a host; returns how many. `numeric`: never ask a server. */
int os_resolve(const char *host, int port, bool passive, bool numeric, struct os_addr *to, int max);
int os_tcp_socket(int family);
int os_listen(int fd, const struct os_addr *addr, int backlog);
int os_accept(int fd);
int os_connect(int fd, const void *addr, uint32_t len);
int os_connect_result(int fd); /* -EINPROGRESS: not yet */
int os_port(int fd);

int os_gate_connect(const char *path);
bool os_gate_ask(int fd, const char *line);
/* A socket with an abstract name that the kernel finds; `name` gets
 * it without the NUL before it. */
int os_ear_open(char *name, size_t size);
/* The next one who connects: root, or of our own user. -ETIMEDOUT: nobody came. */
int os_ear_accept(int fd, int64_t timeout_ns);
bool os_ear_read(int fd, void *buf, size_t n); /* all of it, and within a minute */
bool os_ear_write(int fd, const void *buf, size_t n);
/* A process that is not our child and has nothing of us but stderr; its pid, or -errno. */
int os_spawn(const char *path, char *const argv[], char *const envp[]);
void os_allow_tracer(int pid); /* where only ancestors may look into a process */
bool os_is_program(const char *path);

#endif /* GORO_OS_H */
