//go:build !linux

package engine

import (
	"errors"
	"os"
	"os/exec"
)

var errPlatform = errors.New("the embedded engine runs on Linux only; " +
	"name ClickHouse servers in clickhouse.addresses instead")

func umask() {}

func noCore() error { return errPlatform }

func detach(*exec.Cmd) {}

func takeTerminal() (*os.File, error) { return nil, errPlatform }

func quarterOfMemory() (uint64, error) { return 0, errPlatform }

func group(*exec.Cmd) {}
