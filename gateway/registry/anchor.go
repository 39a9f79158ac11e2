package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// An anchor is the checkpoint file beside the registry. A registry that was put back
// to an earlier state is shorter than what the file says (loading.md 3.3). The file
// may be copied away; a witness's copy does the same for the whole machine.
type anchor struct {
	path string
	mu   sync.Mutex // guards the rest
	size uint64     // of the newest checkpoint put
	note string     // that could not be written yet, or ""
}

// begin writes the file of a ledger without leaves, unless it is there. When a process
// is killed between its first transaction and the file's next checkpoint, the file is
// older than the ledger, as it may be after any other transaction, but never missing.
func (a *anchor) begin(signer note.Signer) error {
	if _, err := os.Stat(a.path); err == nil {
		return nil
	}
	root, err := tlog.TreeHash(0, nil)
	if err != nil {
		return fmt.Errorf("hashing an empty ledger: %w", err)
	}
	signed, err := ledger.SignCheckpoint(tlog.Tree{N: 0, Hash: root}, signer)
	if err != nil {
		return fmt.Errorf("signing an empty ledger: %w", err)
	}
	if err := replaceFile(a.path, []byte(signed)); err != nil {
		return fmt.Errorf("writing the checkpoint file: %w", err)
	}
	return nil
}

// put replaces the file by a newer checkpoint. When that fails the change it belongs
// to stands, and ready refuses the next one until the file is written.
func (a *anchor) put(size uint64, signed string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if size < a.size {
		return // another change was faster
	}
	a.size, a.note = size, signed
	if replaceFile(a.path, []byte(signed)) == nil {
		a.note = ""
	}
}

// ready writes what put could not.
func (a *anchor) ready() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.note == "" {
		return nil
	}
	if err := replaceFile(a.path, []byte(a.note)); err != nil {
		return err
	}
	a.note = ""
	return nil
}

// read returns the tree of the file's checkpoint, and false when there is no file.
func (a *anchor) read(key note.Verifier) (tlog.Tree, bool, error) {
	data, err := os.ReadFile(a.path)
	if errors.Is(err, os.ErrNotExist) {
		return tlog.Tree{}, false, nil
	}
	if err != nil {
		return tlog.Tree{}, false, fmt.Errorf("reading the checkpoint file: %w", err)
	}
	tree, err := ledger.OpenCheckpoint(string(data), key)
	if err != nil {
		return tlog.Tree{}, false, fmt.Errorf("%w: the checkpoint file: %w", ErrEvidence, err)
	}
	return tree, true, nil
}

// replaceFile makes path hold data, durably, whole or not at all.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path) //nolint:gosec // the path is the operator's configuration
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name())) //nolint:gosec // the path is the operator's configuration
	}
	dir, err := os.Open(filepath.Dir(path)) //nolint:gosec // the path is the operator's configuration
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
