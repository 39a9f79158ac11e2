package main

import (
	"errors"
	"os"
	"path/filepath"
)

// spoolDir makes the folder in which workbooks and Parquet files lie, sealed, while
// they are read. What an earlier process left there is as good as random, because its
// keys died with it; it is taken away.
func spoolDir(data string) (string, error) {
	dir := filepath.Join(data, "spool")
	err := os.RemoveAll(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", errors.New("the folder for files that are being read cannot be made: " + dir)
	}
	return dir, nil
}
