package enginetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// page is the least that a file takes of a disk in memory.
const page = 4096

// A Disk is a small file system of its own, for tests of what happens when it is full
// or fails.
type Disk struct {
	dir   string
	size  int64
	image string // of an ext4 file system
}

// NewDisk mounts a file system in memory on a directory until the test ends. The test is
// skipped where nothing can be mounted.
func NewDisk(t *testing.T, dir string, size int64) *Disk {
	t.Helper()
	err := os.MkdirAll(dir, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	err = unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size))
	if err != nil {
		t.Skipf("skipped: no file system can be mounted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return &Disk{dir: dir, size: size}
}

// NewExt4 is NewDisk with a file system in a file, which [Disk.Break] can break.
func NewExt4(t *testing.T, dir string, size int64) *Disk {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	err := os.WriteFile(image, nil, 0o600)
	if err == nil {
		err = os.Truncate(image, size)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*exec.Cmd{command("mkfs.ext4", "-q", image), command("mount", "-o", "loop", image, dir)} {
		if out, err := c.CombinedOutput(); err != nil {
			t.Skipf("skipped: %s: %v\n%s", c.Args[0], err, out)
		}
	}
	t.Cleanup(func() { _ = command("umount", "--lazy", dir).Run() })
	return &Disk{dir: dir, image: image}
}

func command(name string, args ...string) *exec.Cmd {
	return exec.CommandContext(context.Background(), name, args...) //nolint:gosec // of a test, about its own directory
}

// Leave takes all space of a file system in memory but some pages, at once.
func (d *Disk) Leave(pages int) error {
	for {
		var s unix.Statfs_t
		err := unix.Statfs(d.dir, &s)
		if err != nil {
			return err
		}
		used := (s.Blocks - s.Bfree) * uint64(s.Bsize) //nolint:gosec // a block size is positive
		err = d.remount(used + uint64(pages)*page)     //nolint:gosec // some pages
		if !errors.Is(err, unix.EINVAL) {              // more is used by now
			return err
		}
	}
}

// Restore gives all space back.
func (d *Disk) Restore() error { return d.remount(uint64(d.size)) } //nolint:gosec // it is positive

func (d *Disk) remount(size uint64) error {
	return unix.Mount("tmpfs", d.dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d,mode=0700", size))
}

// Break makes an ext4 file system read-only at once, with files open for writing, as the
// kernel does when the device below it fails.
func (d *Disk) Break() error {
	return unix.Mount("", d.dir, "", unix.MS_REMOUNT, "abort")
}

// Repair mounts a broken file system anew. No process may use it.
func (d *Disk) Repair(t *testing.T) {
	t.Helper()
	for _, c := range []*exec.Cmd{
		command("umount", d.dir), command("fsck.ext4", "-p", d.image), command("mount", "-o", "loop", d.image, d.dir),
	} {
		out, err := c.CombinedOutput()
		exit, _ := errors.AsType[*exec.ExitError](err)
		mended := c.Args[0] == "fsck.ext4" && exit != nil && exit.ExitCode() == 1
		if err != nil && !mended {
			t.Fatalf("%v: %v\n%s", c.Args, err, out)
		}
	}
}

// LeaveAt takes all space but some pages when the engine, whose directory this is,
// begins a part of a kind: "tmp_insert" or "tmp_merge". Stop returns whether it did.
func (d *Disk) LeaveAt(t *testing.T, kind string, pages int) (stop func() bool) {
	t.Helper()
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(d.dir, "data", "store", "*", "*"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("%d tables, error %v", len(tables), err)
	}
	end := filepath.Join(t.TempDir(), "end")
	err = os.Mkdir(end, 0o700)
	for _, dir := range append(tables, end) {
		if err == nil {
			_, err = unix.InotifyAddWatch(watch, dir, unix.IN_CREATE)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.leaveAt(watch, kind, pages) }()
	return func() bool {
		_ = os.WriteFile(filepath.Join(end, stopped), nil, 0o600)
		err := <-done
		_ = unix.Close(watch)
		if err != nil && !errors.Is(err, errStopped) {
			t.Error(err)
		}
		return err == nil
	}
}

const stopped = "stopped"

var errStopped = errors.New("there was no such part")

func (d *Disk) leaveAt(watch int, kind string, pages int) error {
	buffer := make([]byte, 4096)
	for {
		n, err := unix.Read(watch, buffer)
		switch names := string(buffer[:max(n, 0)]); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case strings.Contains(names, kind):
			return d.Leave(pages)
		case strings.Contains(names, stopped):
			return errStopped
		}
	}
}
