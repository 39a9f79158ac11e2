package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// FetchOptions say where the library is kept.
type FetchOptions struct {
	// CacheDir holds the library between runs. Default: pana/engine in the
	// user's cache directory.
	CacheDir string
	// Progress is told, in lines, how far a fetch has come and whom it waits
	// for. Default: nobody.
	Progress io.Writer
}

// libraryVariable names a library that is used as it is.
const libraryVariable = "PANA_LIBCHDB"

const (
	libraryName = "libchdb.so"
	version     = "26.7.3-stable.1"
	freeNeeded  = 1 << 30          // the package, its copy in npm's cache, the library
	stallLimit  = 60 * time.Second // without a byte
	watchPeriod = 250 * time.Millisecond
)

// A source is a package of the npm registry, held to one content.
type source struct {
	name   string
	sha512 string // of the tarball, base64, as npm shows it
	size   int64  // of the tarball
}

// sources are the packages whose content was checked, by GOOS/GOARCH. The
// project that makes them names siblings for linux/arm64 and macOS, but the
// registry had none in this version when this was written: what cannot be
// pinned is not fetched.
var sources = map[string]source{
	"linux/amd64": {
		name:   "@chdb/lib-linux-x64-gnu@" + version,
		sha512: "XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
		size:   177_817_999,
	},
}

// ways is what every failure ends with.
const ways = "set " + libraryVariable + " to a " + libraryName + " of ClickHouse 26.7, or run `pana engine fetch` " +
	"where npm and the network can be used and copy its cache, or name ClickHouse servers in clickhouse.addresses"

// Fetch returns the path of the engine's library. It looks at PANA_LIBCHDB,
// then into the cache, and only then fetches the library with npm, which must
// be installed: some 180 MB over the network and 570 MB on disk, checked against the
// SHA-512 in this program's source before anything of it is unpacked. Several
// processes may call it at once; one of them fetches.
func Fetch(ctx context.Context, o FetchOptions) (string, error) {
	if path, ok := os.LookupEnv(libraryVariable); ok && path != "" {
		return given(path)
	}
	if o.CacheDir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("engine: no cache directory (%w); %s", err, ways)
		}
		o.CacheDir = filepath.Join(base, "pana", "engine")
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	f := fetcher{
		dir:      filepath.Join(o.CacheDir, version+"-"+runtime.GOOS+"-"+runtime.GOARCH),
		source:   sources[platform],
		need:     freeNeeded,
		stall:    stallLimit,
		progress: o.Progress,
	}
	if path, ok := f.cached(); ok {
		return path, nil
	}
	if f.source.name == "" {
		return "", fmt.Errorf("engine: there is no pinned library for %s; %s", platform, ways)
	}
	path, err := f.fetch(ctx)
	if err != nil {
		return "", fmt.Errorf("engine: fetching the library: %w; %s", err, ways)
	}
	return path, nil
}

func given(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("engine: %s: %w", libraryVariable, err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("engine: %s: %s is not a file", libraryVariable, path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("engine: %s: %w", libraryVariable, err)
	}
	return abs, nil
}

// A fetcher fills one entry of the cache.
type fetcher struct {
	dir      string // of the entry
	source   source
	need     uint64 // bytes that must be free
	stall    time.Duration
	progress io.Writer
}

// cached returns the library if it is there. It got its name only after it was
// whole and checked.
func (f fetcher) cached() (string, bool) {
	path := filepath.Join(f.dir, libraryName)
	info, err := os.Lstat(path)
	return path, err == nil && info.Mode().IsRegular()
}

func (f fetcher) fetch(ctx context.Context) (string, error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return "", err
	}
	unlock, err := f.wait(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = unlock() }() // the lock ends with the descriptor, whatever Close says
	path, ok := f.cached()
	if ok {
		return path, nil // somebody else was first
	}
	return path, f.fill(ctx, path)
}

// wait takes the lock of the cache entry and tells whom it waits for.
func (f fetcher) wait(ctx context.Context) (unlock func() error, err error) {
	told := ""
	for {
		unlock, holder, err := lockFile(filepath.Join(f.dir, "lock"))
		if !errors.Is(err, errLocked) {
			return unlock, err
		}
		if holder != "" && holder != told {
			told = holder
			f.say("waiting for process %s, which fetches the engine", holder)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another process (%s) that fetches it: %w", holder, context.Cause(ctx))
		case <-time.After(watchPeriod):
		}
	}
}

// fill downloads, checks, unpacks and only then names the library. It works in
// a directory beside the entry, on the same file system; one that a killed
// process left behind is removed first.
func (f fetcher) fill(ctx context.Context, path string) error {
	work := filepath.Join(f.dir, "partial")
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := f.space(); err != nil {
		return err
	}
	if err := os.Mkdir(work, 0o700); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // the next fetch tries again
	tarball, err := f.download(ctx, work)
	if err != nil {
		return err
	}
	f.say("checking and unpacking")
	if err := verify(tarball, f.source.sha512); err != nil {
		return err
	}
	unpacked := filepath.Join(work, libraryName)
	if err := unpack(ctx, tarball, unpacked); err != nil {
		return err
	}
	if err := os.Rename(unpacked, path); err != nil {
		return err
	}
	return syncDirectory(f.dir)
}

// space checks that the fetch can end well before it begins.
func (f fetcher) space() error {
	var s unix.Statfs_t
	if err := unix.Statfs(f.dir, &s); err != nil {
		return fmt.Errorf("asking for free space: %w", err)
	}
	free := s.Bavail * uint64(s.Bsize) //nolint:gosec // block sizes are positive
	if free < f.need {
		return fmt.Errorf("%d MB must be free in the cache directory and %d are", f.need/1e6, free/1e6)
	}
	return nil
}

func (f fetcher) say(format string, args ...any) {
	_, _ = fmt.Fprintf(f.progress, "engine: "+format+"\n", args...) // progress is not worth failing for
}
