/* SPDX-License-Identifier: MIT */
/*
 * The program's threads have a shadow stack (each word of a kernel that has none says so here): the
 * runtime turns it off where goroutines will run, or says why it cannot and ends.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "goro.h"

#ifdef __x86_64__
enum { NUMBER = SYS_arch_prctl, STATUS = 0x5005, OFF = 0x5002, OFF_ARG = 1 };
#else
enum { NUMBER = SYS_prctl, STATUS = 74, OFF = 75, OFF_ARG = 0 };
#endif

static atomic_int asked, turned_off;
static __thread unsigned long off;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* Most have fewer arguments: what is read for the others is whatever lies there. */
__attribute__((no_sanitize("address"))) long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == NUMBER && a[0] == STATUS) {
		atomic_fetch_add(&asked, 1);
		*(unsigned long *)(uintptr_t)a[1] = !off;
		return 0;
	}
	if (number == NUMBER && a[0] == OFF && a[1] == OFF_ARG) {
		if (getenv("LOCKED"))
			return -1;
		atomic_fetch_add(&turned_off, 1);
		off = 1;
		return 0;
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void *own_thread(void *arg)
{
	goro_chan_send(arg, &off); /* is asked, and turned off, before it is sent */
	return NULL;
}

int main(void)
{
	goro_chan *c = goro_chan_of(unsigned long, 0);
	unsigned long its = 0;
	pthread_t thread;

	if (pthread_create(&thread, NULL, own_thread, c) || !goro_chan_recv(c, &its) || !its ||
	    !off)
		return 1;
	pthread_join(thread, NULL);
	printf("%d threads had one, %d have none now\n", asked, turned_off);
	return turned_off < 2 || turned_off != asked;
}
