// SPDX-License-Identifier: MIT

// The program of ../goro_observed.c in Go, and what Go itself offers to look into it.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

const (
	depth      = 8
	perChannel = 10
	window     = time.Millisecond
)

//go:noinline
func deep(c chan struct{}, left int, inside *sync.WaitGroup) int {
	if left > 1 {
		return deep(c, left-1, inside) + left
	}
	inside.Done()
	<-c
	return 0
}

//go:noinline
func waitDeep(c chan struct{}, inside *sync.WaitGroup) {
	must(deep(c, depth-1, inside) >= 0, "a closed channel")
}

// gatherDeep starts n goroutines that wait, each eight calls deep.
func gatherDeep(n int) (channels []chan struct{}) {
	var inside sync.WaitGroup
	inside.Add(n)
	for i := 0; i < n; i++ {
		if i%perChannel == 0 {
			channels = append(channels, make(chan struct{}))
		}
		go waitDeep(channels[i/perChannel], &inside)
	}
	inside.Wait()
	return channels
}

// gaps prints for how long a goroutine that only yields did not get to run, while look runs again
// and again: of the longest in each millisecond the median, some percentiles and the longest.
func gaps(name string, look func(), duration time.Duration) {
	var stop atomic.Bool
	var observer sync.WaitGroup
	worst := []time.Duration{0}
	observer.Add(1)
	go func() {
		for look != nil && !stop.Load() {
			look()
		}
		observer.Done()
	}()
	start := time.Now()
	last := start
	for last.Sub(start) < duration {
		runtime.Gosched()
		now := time.Now()
		for at := int(now.Sub(start) / window); len(worst) <= at; {
			worst = append(worst, 0)
		}
		if at := len(worst) - 1; now.Sub(last) > worst[at] {
			worst[at] = now.Sub(last)
		}
		last = now
	}
	stop.Store(true)
	observer.Wait()
	// Windows in which it did not run at all are part of one gap, which was counted once.
	kept := worst[:0]
	for _, gap := range worst {
		if gap > 0 {
			kept = append(kept, gap)
		}
	}
	sort.Slice(kept, func(i, j int) bool { return kept[i] < kept[j] })
	for _, part := range []struct {
		name  string
		share float64
	}{{"median", .5}, {"p99", .99}, {"p999", .999}, {"worst", 1}} {
		at := int(float64(len(kept)-1) * part.share)
		printFigure(name+"_"+part.name, kept[at].Seconds()*1e6)
	}
}

// What SIGQUIT and pprof's debug=2 print: every goroutine.
func dumpAll(buffer []byte) {
	n := runtime.Stack(buffer, true)
	must(n < len(buffer), "the buffer is too small for all goroutines")
}

// What pprof's debug=1 prints: goroutines with equal stacks as one.
func dumpGroups() {
	must(pprof.Lookup("goroutine").WriteTo(io.Discard, 1) == nil, "profile")
}

func benchDump() {
	n := scaled(100000)
	channels := gatherDeep(n)
	buffer := make([]byte, 4096*(n+100))
	dumpAll(buffer) // so that the buffer's pages are there
	start := time.Now()
	dumpAll(buffer)
	printFigure("dump_go_1e5", since(start)/1e6)
	start = time.Now()
	dumpGroups()
	printFigure("dump_cold_1e5", since(start)/1e6)
	runtime.KeepAlive(channels)
}

func benchGap() {
	n := scaled(100000)
	duration := time.Duration(scaled(2000)) * time.Millisecond
	channels := gatherDeep(n)
	buffer := make([]byte, 4096*(n+100))
	dumpAll(buffer)
	gaps("gap_alone", nil, duration)
	gaps("gap_dumped", func() { dumpAll(buffer) }, duration)
	runtime.KeepAlive(channels)
}

// benchObserved waits to be looked at, until its input ends.
func benchObserved() {
	channels := gatherDeep(scaled(100000))
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
	runtime.KeepAlive(channels)
}

func init() {
	for name, run := range map[string]func(){
		"dump_cold_1e5": benchDump,
		"observed_gap":  benchGap,
		"observed":      benchObserved,
	} {
		benches[name] = run
	}
}
