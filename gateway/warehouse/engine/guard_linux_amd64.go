package engine

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// The library drops what a write to a file could not write and goes on as if it had
// been written: where ClickHouse throws, WriteBufferFromFileDescriptor::nextImpl of
// chDB 26.7 breaks out of its loop. On a full disk it so acknowledges inserts and
// replaces parts by merges whose files lack anything, which no query shows before the
// next start, when they are lost (trust.md 6.2, F9). Nor does it mind that a directory
// could not be made durable.
//
// So the child ends at the moment in which the disk fails: what was not acknowledged by
// then never is, temporary parts are removed at the next start, and parts that a merge
// was about to replace are still there.

// The functions of libc as the library would call them, and what it calls instead.
var (
	libcWrite, libcFsync, libcFdatasync                      uintptr
	guardedWriteAddr, guardedFsyncAddr, guardedFdatasyncAddr uintptr // of C functions, by the assembler
)

var errOtherLibrary = errors.New("the library is not the one that this program knows: its writes cannot be guarded")

// guardWrites makes the library, which was loaded at once and not lazily, end this
// process when it cannot write to a file. It demands to find what it replaces.
func guardWrites(library string, handle uintptr) error {
	slots, err := findSlots(library, handle)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name    string
		libc    *uintptr
		guarded uintptr
	}{
		{"write", &libcWrite, guardedWriteAddr},
		{"fsync", &libcFsync, guardedFsyncAddr},
		{"fdatasync", &libcFdatasync, guardedFdatasyncAddr},
	} {
		*f.libc, err = purego.Dlsym(purego.RTLD_DEFAULT, f.name)
		if err != nil || len(slots[f.name]) == 0 {
			return errOtherLibrary
		}
		for _, slot := range slots[f.name] {
			err = replace(slot, *f.libc, f.guarded)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// findSlots returns, by the name of a function, where in memory the library keeps the
// address that it calls.
func findSlots(library string, handle uintptr) (map[string][]uintptr, error) {
	f, err := elf.Open(library)
	if err != nil {
		return nil, errOtherLibrary
	}
	defer func() { _ = f.Close() }() // only read
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return nil, errOtherLibrary
	}
	base := uintptr(0)
	for _, s := range symbols {
		if s.Name == entry {
			address, err := purego.Dlsym(handle, entry)
			if err != nil {
				return nil, errOtherLibrary
			}
			base = address - uintptr(s.Value)
		}
	}
	plain, err := f.DynValue(elf.DT_RELACOUNT) // the first ones, a million, name no symbol
	if err != nil || len(plain) != 1 || base == 0 {
		return nil, errOtherLibrary
	}
	slots := map[string][]uintptr{}
	for section, skip := range map[string]uint64{".rela.dyn": plain[0], ".rela.plt": 0} {
		s := f.Section(section)
		if s == nil {
			return nil, errOtherLibrary
		}
		err = eachRelocation(s, skip, func(r elf.Rela64) {
			kind, symbol := elf.R_X86_64(elf.R_TYPE64(r.Info)), elf.R_SYM64(r.Info)
			if (kind == elf.R_X86_64_JMP_SLOT || kind == elf.R_X86_64_GLOB_DAT) && symbol > 0 && int(symbol) <= len(symbols) {
				name := symbols[symbol-1].Name
				slots[name] = append(slots[name], base+uintptr(r.Off))
			}
		})
		if err != nil {
			return nil, errOtherLibrary
		}
	}
	return slots, nil
}

func eachRelocation(s *elf.Section, skip uint64, found func(elf.Rela64)) error {
	const size = 24
	if s.Entsize != size || skip*size > s.Size {
		return errOtherLibrary
	}
	entries := make([]elf.Rela64, s.Size/size-skip)
	err := binary.Read(io.NewSectionReader(s, int64(skip*size), int64(s.Size)), binary.LittleEndian, entries) //nolint:gosec // below the size
	for _, r := range entries {
		found(r)
	}
	return err
}

// replace changes a slot, which may lie on a page that the loader has made read-only.
func replace(slot, old, to uintptr) error {
	p := *(**uintptr)(unsafe.Pointer(&slot)) //nolint:gosec // memory of the library, not of Go
	if *p != old {
		return errOtherLibrary
	}
	size := uintptr(unix.Getpagesize())
	start := slot &^ (size - 1)
	page := unsafe.Slice(*(**byte)(unsafe.Pointer(&start)), size) //nolint:gosec // likewise
	err := unix.Mprotect(page, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return fmt.Errorf("guarding the engine's writes: %w", err)
	}
	*p = to
	return nil
}
