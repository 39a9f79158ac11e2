package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

// dumpable demands that this process, which took a data directory, cannot be dumped.
func dumpable(t *testing.T) {
	t.Helper()
	got, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil || got != 0 {
		t.Errorf("the process can be dumped: %d, %v", got, err)
	}
}
