package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// errLocked: somebody else holds the lock; the message around it says who.
var errLocked = errors.New("locked")

// lockFile takes an exclusive lock that ends with this process, and writes into
// the file who holds it. If somebody else does, it returns errLocked and the
// holder's process id, or "".
func lockFile(path string) (unlock func() error, holder string, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // a path of our own
	if err != nil {
		return nil, "", err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }() // only read
		if errors.Is(err, unix.EWOULDBLOCK) {
			b, _ := io.ReadAll(io.LimitReader(f, 20)) // best effort: a name for people
			return nil, strings.TrimSpace(string(b)), errLocked
		}
		return nil, "", err
	}
	_ = f.Truncate(0)                        // best effort: a name for people
	_, _ = fmt.Fprintf(f, "%d", os.Getpid()) // likewise
	return f.Close, "", nil
}

// lockDirectory makes sure that nobody else starts an engine on dir, whose
// files a start rewrites. ClickHouse's own lock on its status file comes on top.
func lockDirectory(dir string) (unlock func() error, err error) {
	unlock, holder, err := lockFile(filepath.Join(dir, "lock"))
	switch {
	case errors.Is(err, errLocked) && holder != "":
		return nil, &StartError{Code: codeCannotOpenFile, hint: hints[codeCannotOpenFile] + " (process " + holder + ")"}
	case errors.Is(err, errLocked):
		return nil, &StartError{Code: codeCannotOpenFile, hint: hints[codeCannotOpenFile]}
	case err != nil:
		return nil, fmt.Errorf("engine: locking the data directory: %w", err)
	}
	return unlock, nil
}
