// SPDX-License-Identifier: MIT

// The program of leaks_goro.c in Go, and its goroutineleak profile (Go 1.26 with
// GOEXPERIMENT=goroutineleakprofile, later ones without): how long it takes, how long the world
// stood still meanwhile, and how many goroutines it finds.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"
)

const (
	objects    = 10_000_000
	goroutines = 100_000
	leaked     = 10
)

type node struct {
	any, previous *node
	rest          [9]int64
}

var (
	root     *node
	channels []chan int
	parked   sync.WaitGroup
)

func build(n int) {
	all := make([]*node, n)
	random := uint64(88172645463325252)
	for i := range all {
		random ^= random << 13
		random ^= random >> 7
		random ^= random << 17
		all[i] = new(node)
		if i > 0 {
			all[i].any = all[random%uint64(i)]
			all[i].previous = all[i-1]
		}
	}
	root = all[n-1]
}

func waits(c chan int) {
	parked.Done()
	<-c
}

func paused() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.PauseTotalNs
}

func main() {
	divisor := 1
	if len(os.Args) > 1 {
		divisor, _ = strconv.Atoi(os.Args[1])
	}
	n := goroutines / divisor
	parked.Add(n + leaked)
	for i := 0; i < leaked; i++ {
		go waits(make(chan int))
	}
	build(objects / divisor)
	channels = make([]chan int, n)
	for i := range channels {
		channels[i] = make(chan int)
		go waits(channels[i])
	}
	parked.Wait()
	profile := pprof.Lookup("goroutineleak")
	if profile == nil {
		fmt.Fprintln(os.Stderr, "this Go has no goroutineleak profile")
		os.Exit(1)
	}
	time.Sleep(100 * time.Millisecond)
	runtime.GC()
	before := paused()
	start := time.Now()
	if err := profile.WriteTo(io.Discard, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("go_ms %.3f\n", float64(time.Since(start).Nanoseconds())/1e6)
	fmt.Printf("go_pause_ms %.3f\n", float64(paused()-before)/1e6)
	fmt.Printf("go_leaked %d\n", profile.Count())
	runtime.KeepAlive(root)
	runtime.KeepAlive(channels)
}
