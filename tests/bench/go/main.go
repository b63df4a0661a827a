// SPDX-License-Identifier: MIT

// gobench - the work of ../goro_bench.c, line by line, in Go: gobench NAME WORKERS [DIVISOR].
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var divisor = 1

func scaled(n int) int {
	if n/divisor > 1 {
		return n / divisor
	}
	return 1
}

func printFigure(name string, value float64) {
	fmt.Printf("%s %.3f\n", name, value)
}

func must(good bool, what string) {
	if !good {
		fmt.Fprintln(os.Stderr, "gobench: wrong result:", what)
		os.Exit(1)
	}
}

func since(start time.Time) float64 {
	return float64(time.Since(start))
}

func benchYield() {
	n := scaled(3000000)
	var wg sync.WaitGroup
	var turn atomic.Int32
	start := time.Now()
	wg.Add(2)
	for k := int32(0); k < 2; k++ {
		go func(me int32) {
			for i := 0; i < n; i++ {
				for turn.Load() != me {
					runtime.Gosched()
				}
				turn.Store(1 - me)
				runtime.Gosched()
			}
			wg.Done()
		}(k)
	}
	wg.Wait()
	printFigure("yield", since(start)/float64(2*n))
}

func benchChanUnbuffered() {
	n := scaled(1500000)
	there, back := make(chan int64), make(chan int64)
	var wg sync.WaitGroup
	start := time.Now()
	wg.Add(1)
	go func() {
		for i := 0; i < n; i++ {
			v := <-there
			back <- v + 1
		}
		wg.Done()
	}()
	for i := int64(0); i < int64(n); i++ {
		there <- i
		must(<-back == i+1, "ping-pong")
	}
	wg.Wait()
	printFigure("chan_unbuffered", since(start)/float64(2*n))
}

func stream(name string, producers, n int) {
	c := make(chan int64, 128)
	each := n / producers
	var wg sync.WaitGroup
	var sum int64
	start := time.Now()
	wg.Add(2 * producers)
	for k := 0; k < producers; k++ {
		go func() {
			for i := 0; i < each; i++ {
				c <- int64(i)
			}
			wg.Done()
		}()
		go func() {
			var s int64
			for i := 0; i < each; i++ {
				s += <-c
			}
			atomic.AddInt64(&sum, s)
			wg.Done()
		}()
	}
	wg.Wait()
	must(sum == int64(producers)*int64(each)*int64(each-1)/2, name)
	printFigure(name, since(start)/float64(producers*each))
}

func benchSpawnJoin() {
	batch, batches := scaled(10000), 100
	var wg sync.WaitGroup
	start := time.Now()
	for k := 0; k < batches; k++ {
		wg.Add(batch)
		for i := 0; i < batch; i++ {
			go wg.Done()
		}
		wg.Wait()
	}
	printFigure("spawn_join", since(start)/float64(batch*batches))
}

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func fibParallel(n int) int {
	if n < 12 {
		return fib(n)
	}
	var wg sync.WaitGroup
	var y int
	wg.Add(1)
	go func() {
		y = fibParallel(n - 2)
		wg.Done()
	}()
	x := fibParallel(n - 1)
	wg.Wait()
	return x + y
}

func benchForkJoin() {
	rounds, n, want := scaled(5), 35, 9227465
	if divisor > 1 {
		n, want = 20, 6765
	}
	start := time.Now()
	for i := 0; i < rounds; i++ {
		must(fibParallel(n) == want, "fib")
	}
	printFigure("fork_join", since(start)/1e6/float64(rounds))
}

func skynet(up chan int64, number, size int64) {
	if size == 1 {
		up <- number
		return
	}
	c := make(chan int64)
	part := size / 10
	var sum int64
	for i := int64(0); i < 10; i++ {
		go skynet(c, number+i*part, part)
	}
	for i := 0; i < 10; i++ {
		sum += <-c
	}
	up <- sum
}

func benchSkynet() {
	leaves := int64(1000000)
	if divisor > 1 {
		leaves = 1000
	}
	c := make(chan int64)
	start := time.Now()
	go skynet(c, 0, leaves)
	sum := <-c
	must(sum == leaves*(leaves-1)/2, "skynet")
	printFigure("skynet", since(start)/1e6)
	printFigure("skynet_rss", statusBytes("VmHWM")/(1<<20))
}

func benchMutexContended() {
	n := scaled(1000000)
	var mu sync.Mutex
	var wg sync.WaitGroup
	count := 0
	start := time.Now()
	wg.Add(8)
	for k := 0; k < 8; k++ {
		go func() {
			for i := 0; i < n; i++ {
				mu.Lock()
				count++
				mu.Unlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	must(count == 8*n, "mutex")
	printFigure("mutex_contended", since(start)/float64(8*n))
}

func select4(name string, capacity, n int) {
	var c [4]chan int64
	var wg sync.WaitGroup
	start := time.Now()
	wg.Add(4)
	for i := range c {
		c[i] = make(chan int64, capacity)
		go func(c chan int64) {
			for i := 0; i < n/4; i++ {
				c <- int64(i)
			}
			wg.Done()
		}(c[i])
	}
	var sum, v int64
	for i := 0; i < n/4*4; i++ {
		select {
		case v = <-c[0]:
		case v = <-c[1]:
		case v = <-c[2]:
		case v = <-c[3]:
		}
		sum += v
	}
	printFigure(name, since(start)/float64(n))
	must(sum == 4*int64(n/4)*int64(n/4-1)/2, name)
	wg.Wait()
}

type crowd struct {
	gate         chan struct{}
	inside, gone sync.WaitGroup
}

func gather(n int) *crowd {
	c := &crowd{gate: make(chan struct{})}
	c.inside.Add(n)
	c.gone.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			c.inside.Done()
			<-c.gate
			c.gone.Done()
		}()
	}
	c.inside.Wait()
	return c
}

func benchWake() {
	n := scaled(100000)
	c := gather(n)
	start := time.Now()
	close(c.gate)
	c.gone.Wait()
	printFigure("wake", since(start)/float64(n))
}

func statusBytes(field string) float64 {
	f, err := os.Open("/proc/self/status")
	must(err == nil, "/proc/self/status")
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		w := strings.Fields(s.Text())
		if len(w) > 1 && w[0] == field+":" {
			kb, _ := strconv.ParseFloat(w[1], 64)
			return kb * 1024
		}
	}
	return -1024
}

func memory() float64 {
	return statusBytes("VmRSS") + statusBytes("VmPTE")
}

func parked(memoryName, createName string, n int) {
	before := memory()
	start := time.Now()
	c := gather(n)
	printFigure(createName, since(start)/float64(n))
	printFigure(memoryName, (memory()-before)/float64(n))
	runtime.KeepAlive(c)
}

func parkedCold(name string, n int) {
	before := memory()
	c := gather(n)
	printFigure(name, (memory()-before)/float64(n))
	runtime.KeepAlive(c)
}

func cpuMs() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Sec+u.Stime.Sec)*1e3 + float64(u.Utime.Usec+u.Stime.Usec)/1e3
}

func benchTimers() {
	n := scaled(100000)
	var wg sync.WaitGroup
	start := time.Now()
	cpu := cpuMs()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func(s uint64) {
			for k := 0; k < 10; k++ {
				s ^= s << 13
				s ^= s >> 7
				s ^= s << 17
				time.Sleep(time.Duration(1+s%100) * time.Millisecond)
			}
			wg.Done()
		}(uint64(i)*2654435761 + 88172645463325252)
	}
	wg.Wait()
	printFigure("timers", since(start)/1e6)
	printFigure("timers_cpu", cpuMs()-cpu)
}

func echoConn(c net.Conn) {
	buf := make([]byte, 512)
	for {
		n, err := c.Read(buf)
		if err != nil {
			break
		}
		if _, err = c.Write(buf[:n]); err != nil {
			break
		}
	}
	c.Close()
}

func benchEcho() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err == nil, "echo")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go echoConn(c)
		}
	}()
	self, err := os.Executable()
	must(err == nil, "echo")
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	client := exec.Command(filepath.Join(filepath.Dir(self), "echo_client"), port,
		strconv.Itoa(scaled(200000)))
	client.Stdout = os.Stdout
	client.Stderr = os.Stderr
	must(client.Run() == nil, "echo_client")
}

var benches = map[string]func(){
	"yield":              benchYield,
	"chan_unbuffered":    benchChanUnbuffered,
	"chan_buffered_1p1c": func() { stream("chan_buffered_1p1c", 1, scaled(10000000)) },
	"chan_buffered_4p4c": func() { stream("chan_buffered_4p4c", 4, scaled(8000000)) },
	"spawn_join":         benchSpawnJoin,
	"mutex_contended":    benchMutexContended,
	"select_4":           func() { select4("select_4", 0, scaled(2000000)) },
	"select_4_buffered":  func() { select4("select_4_buffered", 128, scaled(4000000)) },
	"fork_join":          benchForkJoin,
	"wake":               benchWake,
	"timers":             benchTimers,
	"skynet":             benchSkynet,
	"parked":             func() { parked("parked_memory", "parked_create", scaled(100000)) },
	"echo":               benchEcho,
	"parked_cold":        func() { parkedCold("parked_memory_cold", scaled(100000)) },
	"parked_cold_1m":     func() { parkedCold("parked_memory_cold_1m", scaled(1000000)) },
	"parked_1m":          func() { parked("parked_memory_1m", "parked_create_1m", scaled(1000000)) },
}

func main() {
	if len(os.Args) < 3 || benches[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: gobench NAME WORKERS [DIVISOR]")
		os.Exit(2)
	}
	workers, _ := strconv.Atoi(os.Args[2])
	if len(os.Args) > 3 {
		divisor, _ = strconv.Atoi(os.Args[3])
	}
	if workers < 1 || divisor < 1 {
		fmt.Fprintln(os.Stderr, "gobench: WORKERS and DIVISOR are positive numbers")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(workers)
	benches[os.Args[1]]()
}
