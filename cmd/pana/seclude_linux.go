package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// seclude keeps the memory of a process that holds keys and records to itself: no
// core file is written when it crashes, and no other process of the same user can
// attach to it or read its memory (trust.md 6.5). GOTRACEBACK is the operator's: a
// program cannot ask for less than it, and TestCanary finds that even "all" prints no
// data.
func seclude() error {
	err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if err == nil {
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	}
	if err != nil {
		return fmt.Errorf("keeping the process's memory to itself: %w", err)
	}
	return nil
}
