// SPDX-License-Identifier: MIT

// reader FILE: what panicparse makes of goroutines in Go's text form. It fails if there is a line
// that it does not take for a part of them.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/maruel/panicparse/v2/stack"
)

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	var junk strings.Builder
	snapshot, rest, err := stack.ScanSnapshot(file, &junk, &stack.Opts{})
	if err != nil && err != io.EOF {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	more, _ := io.ReadAll(file)
	if s := strings.TrimSpace(junk.String() + string(rest) + string(more)); s != "" {
		fmt.Fprintf(os.Stderr, "left over: %q\n", s)
		os.Exit(1)
	}
	for _, g := range snapshot.Goroutines {
		fmt.Printf("%d [%s]", g.ID, g.State)
		if g.SleepMin > 0 {
			fmt.Printf(" %d minutes", g.SleepMin)
		}
		if g.Locked {
			fmt.Print(", locked")
		}
		fmt.Printf(", %d calls", len(g.Stack.Calls))
		for _, c := range g.CreatedBy.Calls {
			fmt.Printf(", created by %s", c.Func.Complete)
		}
		fmt.Println()
	}
}
