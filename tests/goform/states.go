// SPDX-License-Identifier: MIT

// A goroutine in each state that Go has a name for; states.c is the same in C. It prints them all
// once they are there, as Go itself does.
package main

import (
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

const goroutines = 15

var (
	mutex, condMutex sync.Mutex
	rwRead, rwWrite  sync.RWMutex
	waitgroup        sync.WaitGroup
	cond             = sync.NewCond(&condMutex)
	reader, writer   *os.File
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
func start_nested(c chan int) { go wait_outer(c) }

// All but main are where they wait: none of them can run.
func all_wait(text string) bool {
	return strings.Count(text, "\ngoroutine ") == goroutines &&
		!strings.Contains(text, "[runnable") && strings.Count(text, "[running") == 1
}

func main() {
	reader, writer, _ = os.Pipe()
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
	text := make([]byte, 1<<20)
	for {
		n := runtime.Stack(text, true)
		if all_wait(string(text[:n])) {
			os.Stdout.Write(text[:n])
			break
		}
		time.Sleep(time.Millisecond)
	}
	runtime.KeepAlive(writer)
}
