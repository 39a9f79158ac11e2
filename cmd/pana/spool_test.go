package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSpoolFolderIsEmptyAndClosed(t *testing.T) {
	data := t.TempDir()
	for range 2 {
		dir, err := spoolDir(data)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != 0o700 || filepath.Dir(dir) != data {
			t.Fatal(dir, info, err)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Fatalf("%d files are left: %v", len(left), err)
		}
		if err = os.WriteFile(filepath.Join(dir, "pana-spool-1"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
