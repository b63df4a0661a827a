// SPDX-License-Identifier: MIT

// A goroutine in each state that Go has a name for; states.c is the same in C. It prints them all
// once they are there, as Go itself does.
package main

import (
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const goroutines = 22 // besides main: one of them fills a pipe for another one

var (
	mutex, condMutex sync.Mutex
	rwRead, rwWrite  sync.RWMutex
	waitgroup        sync.WaitGroup
	cond             = sync.NewCond(&condMutex)
	once             sync.Once
	reader, writer   *os.File
	full, filled     *os.File
	blockingFds      [2]int
)

//go:noinline
func wait_recv(c chan int) { <-c }

//go:noinline
func wait_send(c chan int) { c <- 1 }

//go:noinline
func wait_recv_nil(c chan int) { <-c }

//go:noinline
func wait_send_nil(c chan int) { c <- 1 }

//go:noinline
func wait_select(c, d chan int) {
	select {
	case <-c:
	case d <- 1:
	}
}

//go:noinline
func wait_select_none() { select {} }

//go:noinline
func wait_mutex() { mutex.Lock() }

//go:noinline
func wait_rlock() { rwWrite.RLock() }

//go:noinline
func wait_lock() { rwRead.Lock() }

//go:noinline
func wait_waitgroup() { waitgroup.Wait() }

//go:noinline
func wait_cond() {
	condMutex.Lock()
	cond.Wait()
}

//go:noinline
func wait_sleep() { time.Sleep(time.Hour) }

//go:noinline
func wait_io() { reader.Read(make([]byte, 1)) }

//go:noinline
func wait_locked(c chan int) {
	runtime.LockOSThread()
	<-c
}

//go:noinline
func wait_inner(c chan int) { <-c }

//go:noinline
func wait_outer(c chan int) { wait_inner(c) }

//go:noinline
func wait_once(c chan int) { once.Do(func() { <-c }) }

// A second writer waits for the first one to end, as one does for a semaphore.
//
//go:noinline
func wait_sema() { filled.Write(make([]byte, 1)) }

func fill() { filled.Write(make([]byte, 1<<20)) }

//go:noinline
func wait_timeout(c chan int) {
	select {
	case <-c:
	case <-time.After(time.Hour):
	}
}

//go:noinline
func wait_syscall() { syscall.Read(blockingFds[0], make([]byte, 1)) }

//go:noinline
func wait_new() {}

//go:noinline
func start_nested(c chan int) { go wait_outer(c) }

// All but main are where they wait: none of them can run but the one that has not run yet.
func all_wait(text string) bool {
	return strings.Count(text, "\ngoroutine ") == goroutines &&
		strings.Count(text, "[runnable") == 1 && strings.Count(text, "[running") == 1 &&
		strings.Contains(text, "[runnable]:\nmain.wait_new(") &&
		strings.Count(text, "main.wait_once(") == 2 && strings.Contains(text, "[syscall]:")
}

func main() {
	runtime.GOMAXPROCS(1) // what main starts does not run before main waits
	reader, writer, _ = os.Pipe()
	full, filled, _ = os.Pipe()
	syscall.Pipe(blockingFds[:])
	mutex.Lock()
	rwRead.RLock()
	rwWrite.Lock()
	waitgroup.Add(1)
	go wait_recv(make(chan int))
	go wait_send(make(chan int))
	go wait_recv_nil(nil)
	go wait_send_nil(nil)
	go wait_select(make(chan int), make(chan int))
	go wait_select_none()
	go wait_mutex()
	go wait_rlock()
	go wait_lock()
	go wait_waitgroup()
	go wait_cond()
	go wait_sleep()
	go wait_io()
	go wait_locked(make(chan int))
	start_nested(make(chan int))
	go fill()
	time.Sleep(time.Millisecond)
	go wait_sema()
	go wait_timeout(make(chan int))
	go wait_syscall()
	go wait_once(make(chan int))
	time.Sleep(time.Millisecond)
	go wait_once(make(chan int))
	text := make([]byte, 1<<20)
	for {
		time.Sleep(10 * time.Millisecond)
		go wait_new()
		n := runtime.Stack(text, true)
		if all_wait(string(text[:n])) {
			os.Stdout.Write(text[:n])
			break
		}
	}
	runtime.KeepAlive(writer)
	runtime.KeepAlive(full)
}
