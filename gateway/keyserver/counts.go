package keyserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// counts is the key server's small ledger: one file a day, with what each agency asked.
// A restart gives nobody a new quota.
type counts struct {
	dir string
	now func() time.Time

	mu   sync.Mutex
	day  string
	asks map[gateway.AgencyID]int
}

var errQuota = gateway.Errorf(gateway.Forbidden, "your quota of identifiers for today is used; ask the key server's owner for a larger one, or go on tomorrow")

func openCounts(dir string, now func() time.Time) (*counts, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, errors.New("keyserver: the directory of counts cannot be made: " + dir)
	}
	c := &counts{dir: dir, now: now}
	return c, c.turn()
}

// turn reads the day's counts when the day is another. A clock that is set back finds
// what was counted on that day.
func (c *counts) turn() error {
	day := c.now().UTC().Format(time.DateOnly)
	if day == c.day {
		return nil
	}
	asks := map[gateway.AgencyID]int{}
	content, err := os.ReadFile(c.file(day))
	if err == nil {
		err = json.Unmarshal(content, &asks)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.New("keyserver: the counts of the day cannot be read: " + c.file(day))
	}
	c.day, c.asks = day, asks
	return nil
}

func (c *counts) file(day string) string { return filepath.Join(c.dir, day+".json") }

// add counts what an agency asks, durably, and returns its total of the day. Above the
// quota nothing is counted.
func (c *counts) add(agency gateway.AgencyID, n, quota int) (total int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	unwritten := gateway.Errorf(gateway.Overloaded, "the key server cannot count, and so does not answer; tell its owner")
	if c.turn() != nil {
		return 0, unwritten
	}
	before := c.asks[agency]
	if n > quota-before {
		return before, errQuota
	}
	c.asks[agency] = before + n
	if err = c.write(); err != nil {
		c.asks[agency] = before
		return before, unwritten
	}
	return before + n, nil
}

// write replaces the day's file, whole or not at all.
func (c *counts) write() error {
	content, err := json.Marshal(c.asks)
	if err != nil {
		return fmt.Errorf("encoding the counts: %w", err)
	}
	half := c.file(c.day) + ".new"
	f, err := os.OpenFile(filepath.Clean(half), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing the counts: %w", err)
	}
	_, err = f.Write(append(content, '\n'))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(half, c.file(c.day))
	}
	if err == nil {
		err = syncDir(c.dir)
	}
	return err
}

// syncDir makes the names of a directory durable: a rename alone may be forgotten with
// the power, and the quota with it.
func syncDir(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
