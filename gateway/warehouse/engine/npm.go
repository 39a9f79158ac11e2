package engine

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// download lets npm fetch the package: npm knows the registry, the proxy and
// the certificates of the place it runs in.
func (f fetcher) download(ctx context.Context, work string) (tarball string, err error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm is not installed: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	//nolint:gosec // npm from PATH, with arguments of our own
	cmd := exec.CommandContext(ctx, npm, "pack", f.source.name, "--ignore-scripts", "--no-update-notifier",
		"--cache", filepath.Join(work, "cache"), "--pack-destination", work)
	cmd.Dir = work
	cmd.WaitDelay = stopLimit
	group(cmd)
	complaint := newWatch([]byte("npm error code"))
	cmd.Stderr = complaint
	stop := f.watch(ctx, work, cancel)
	err = cmd.Run()
	stop()
	if cause := context.Cause(ctx); cause != nil {
		return "", cause
	}
	if err != nil {
		return "", fmt.Errorf("npm pack %s: %w%s", f.source.name, err, npmCode(complaint.text()))
	}
	found, err := filepath.Glob(filepath.Join(work, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm pack left %d tarballs, not one", len(found))
	}
	return found[0], nil
}

var npmCodePattern = regexp.MustCompile(`npm (?:error|ERR!) code ([A-Z0-9_]+)`)

// npmCode finds npm's own code in what it complained; the rest may name
// registries and their credentials.
func npmCode(stderr string) string {
	if m := npmCodePattern.FindStringSubmatch(stderr); m != nil {
		return " (" + m[1] + ")"
	}
	return ""
}

var errStalled = errors.New("the download stands still")

// watch tells how much has come, and gives up when nothing more comes. The
// function it returns ends it.
func (f fetcher) watch(ctx context.Context, work string, cancel context.CancelCauseFunc) (stop func()) {
	ended, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(watchPeriod)
		defer tick.Stop()
		var last, told int64
		var still time.Duration
		for {
			select {
			case <-ended:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			n := bytesUnder(work)
			if still += watchPeriod; n != last {
				last, still = n, 0
			}
			if still >= f.stall {
				cancel(fmt.Errorf("%w: no byte for %s", errStalled, f.stall))
				return
			}
			if tenth := min(n*10/f.source.size, 10); tenth > told {
				told = tenth
				f.say("fetched %d of %d MB", min(n, f.source.size)/1e6, f.source.size/1e6)
			}
		}
	}()
	return func() { close(ended); <-over }
}

// bytesUnder adds up the files under dir, which come and go meanwhile.
func bytesUnder(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that has gone counts nothing
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

// verify compares the SHA-512 of a file with the pinned one.
func verify(path, pinned string) error {
	f, err := os.Open(path) //nolint:gosec // a path of our own
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != pinned {
		return fmt.Errorf("its SHA-512 is %s, not the %s that this program was built for; nothing of it was used", got, pinned)
	}
	return nil
}

// libraryLimit bounds what is unpacked; the library has 566 MB.
const libraryLimit = 1 << 30

// unpack writes the library, and nothing else of the tarball, to path.
func unpack(ctx context.Context, tarball, path string) error {
	f, err := os.Open(tarball) //nolint:gosec // a path of our own
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	t := tar.NewReader(z)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("there is no %s in it", libraryName)
		}
		if err != nil {
			return err
		}
		if h.Name != "package/"+libraryName || h.Typeflag != tar.TypeReg {
			continue
		}
		if h.Size > libraryLimit {
			return fmt.Errorf("%s has %d bytes, more than it may", libraryName, h.Size)
		}
		return writeSynced(path, io.LimitReader(t, h.Size))
	}
}

func writeSynced(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o500) //nolint:gosec // a library that is loaded and never changed
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // a path of our own
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
