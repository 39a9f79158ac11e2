package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const content = "not really a library"

// tarball makes a package like the registry's.
func tarball(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o777, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// registry puts an npm on PATH that packs b by running script, in which $out is
// the tarball to write and $from holds b; it returns a fetcher that pins b and
// a count of the times npm ran.
func registry(t *testing.T, b []byte, script string) (f fetcher, runs func() int) {
	t.Helper()
	dir := t.TempDir()
	from, count := filepath.Join(dir, "from"), filepath.Join(dir, "count")
	if err := os.WriteFile(from, b, 0o600); err != nil {
		t.Fatal(err)
	}
	text := "#!/bin/sh\necho run >> '" + count + "'\nfrom='" + from + "'\nout=\"$PWD/p.tgz\"\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	sum := sha512.Sum512(b)
	f = fetcher{
		dir:      filepath.Join(t.TempDir(), "cache", "entry"),
		source:   source{name: "p@1", sha512: base64.StdEncoding.EncodeToString(sum[:]), size: int64(len(b))},
		need:     1,
		stall:    time.Minute,
		progress: &bytes.Buffer{},
	}
	return f, func() int {
		b, _ := os.ReadFile(count)
		return strings.Count(string(b), "run")
	}
}

// empty checks the law of the cache: what is not whole and checked is not there.
func empty(t *testing.T, f fetcher) {
	t.Helper()
	if path, ok := f.cached(); ok {
		t.Errorf("%s exists", path)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "partial")); err == nil {
		t.Error("a partial fetch was left behind")
	}
}

func TestFetchUnpacksTheLibraryOnly(t *testing.T) {
	f, runs := registry(t, tarball(t, "package/../../evil", "package/index.js", "package/libchdb.so", "package/more"), `cp "$from" "$out"`)
	for range 2 {
		path, err := f.fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != content {
			t.Errorf("%q, error %v", b, err)
		}
	}
	if runs() != 1 {
		t.Errorf("npm ran %d times, want once", runs())
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil || len(entries) != 2 { // the library and the lock
		t.Errorf("the cache holds %v, error %v", entries, err)
	}
}

func TestFetchRefuses(t *testing.T) {
	good := tarball(t, "package/libchdb.so")
	for _, c := range []struct {
		name, script, want string
		content            []byte
		change             func(*fetcher)
	}{
		{name: "other content", script: `cp "$from" "$out"; printf x >> "$out"`, want: "SHA-512", content: good},
		{name: "no content", script: `: > "$out"`, want: "SHA-512", content: good},
		{name: "another library name", script: `cp "$from" "$out"`, want: "no libchdb.so", content: tarball(t, "package/other.so")},
		{name: "no tarball", script: ":", want: "0 tarballs", content: good},
		{name: "npm's refusal", script: `echo "npm error code E404" >&2; echo "npm error https://user:secret@registry" >&2; exit 1`, want: "(E404)", content: good},
		{
			name: "no space", script: `cp "$from" "$out"`, want: "MB must be free", content: good,
			change: func(f *fetcher) { f.need = 1 << 62 },
		},
		{
			name: "a stalled download", script: `cp "$from" "$out"; sleep 30`, want: errStalled.Error(), content: good,
			change: func(f *fetcher) { f.stall = 2 * watchPeriod },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, _ := registry(t, c.content, c.script)
			if c.change != nil {
				c.change(&f)
			}
			_, err := f.fetch(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v; want %q in it", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("npm's own words are in %v", err)
			}
			empty(t, f)
		})
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	f, _ := registry(t, tarball(t, "package/libchdb.so"), "sleep 30")
	cause := errors.New("no more time")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, cause)
	defer cancel()
	began := time.Now()
	_, err := f.fetch(ctx)
	if !errors.Is(err, cause) {
		t.Errorf("error %v, want %v", err, cause)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("ended after %v", d)
	}
	empty(t, f)
}

func TestOneOfManyFetches(t *testing.T) {
	f, runs := registry(t, tarball(t, "package/libchdb.so"), `sleep 1; cp "$from" "$out"`)
	var group sync.WaitGroup
	said := make([]bytes.Buffer, 8)
	errs := make([]error, len(said))
	for i := range said {
		group.Go(func() {
			mine := f
			mine.progress = &said[i]
			_, errs[i] = mine.fetch(t.Context())
		})
	}
	group.Wait()
	waited := 0
	for i := range said {
		if errs[i] != nil {
			t.Error(errs[i])
		}
		if strings.Contains(said[i].String(), fmt.Sprintf("waiting for process %d", os.Getpid())) {
			waited++
		}
	}
	if runs() != 1 || waited != len(said)-1 {
		t.Errorf("npm ran %d times and %d waited; want 1 and %d", runs(), waited, len(said)-1)
	}
}

func TestAKilledFetchIsCleanedUp(t *testing.T) {
	f, _ := registry(t, tarball(t, "package/libchdb.so"), `cp "$from" "$out"`)
	left := filepath.Join(f.dir, "partial")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "old.tgz"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.fetch(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAGivenLibraryIsUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.so")
	t.Setenv(libraryVariable, path)
	if _, err := Fetch(t.Context(), FetchOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that it does not exist", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Fetch(t.Context(), FetchOptions{}); got != path || err != nil {
		t.Errorf("%q, error %v; want %q", got, err, path)
	}
	if _, err := Start(t.Context(), Options{Dir: t.TempDir()}); err == nil {
		t.Error("started from an empty file")
	} else if e, ok := errors.AsType[*StartError](err); !ok || !strings.Contains(e.Error(), "cannot be loaded") {
		t.Errorf("error %v", err)
	}
}

func TestEveryWayIsNamedWhenThereIsNone(t *testing.T) {
	t.Setenv(libraryVariable, "")
	t.Setenv("PATH", t.TempDir())
	_, err := Fetch(t.Context(), FetchOptions{CacheDir: t.TempDir()})
	if err == nil {
		t.Fatal("fetched without npm")
	}
	for _, want := range []string{"npm", libraryVariable, "pana engine fetch", "clickhouse.addresses"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}
