//go:build !linux || !amd64

package engine

import "errors"

// guardWrites refuses: the library drops what it cannot write to a disk, and there is
// no guard against that for this kind of machine.
func guardWrites(string, uintptr) error {
	return errors.New("the embedded engine runs on linux/amd64 only; name ClickHouse servers in clickhouse.addresses instead")
}
