package policies

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// maxBundle bounds what a bundle unpacks to. The shipped policies are a hundredth.
const maxBundle = 8 << 20

// Bundle returns the set's files as one: an OPA bundle, a tar within gzip, that "opa
// eval -b" and tar read too. The same set is always the same bytes.
func (s *Set) Bundle() ([]byte, error) {
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	archive := tar.NewWriter(packed)
	for _, src := range s.sources {
		err := archive.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: src.name, Mode: 0o644, Size: int64(len(src.text)), Format: tar.FormatUSTAR,
		})
		if err == nil {
			_, err = archive.Write(src.text)
		}
		if err != nil {
			return nil, fmt.Errorf("packing %s: %w", src.name, err)
		}
	}
	if err := errors.Join(archive.Close(), packed.Close()); err != nil {
		return nil, fmt.Errorf("packing the policies: %w", err)
	}
	return out.Bytes(), nil
}

// CompileBundle reads and compiles a policy set from a bundle. It takes what
// [Set.Bundle] makes and what tar makes of a folder; a name that leads out of the
// bundle, a link, a file twice and whatever unpacks to too much are refused before
// they are read (trust.md 6.4, B80).
func CompileBundle(ctx context.Context, r io.Reader) (*Set, error) {
	sources, err := unpack(r)
	if err != nil {
		return nil, err
	}
	return compileSources(ctx, sources)
}

var errBundle = invalid("the bundle of policies cannot be read: it is a tar within gzip, as made by: tar czf bundle.tar.gz data.json access contract ingest release rows")

func unpack(r io.Reader) ([]source, error) {
	packed := bufio.NewReader(r)
	plain, err := gzip.NewReader(packed)
	if err != nil {
		return nil, errBundle
	}
	plain.Multistream(false)
	limited := &io.LimitedReader{R: plain, N: maxBundle + 1}
	sources, err := untar(limited)
	if err != nil {
		return nil, err
	}
	// What follows the archive's end must be padding, and the end of the file.
	_, err = io.Copy(io.Discard, limited)
	if err != nil || limited.N <= 0 {
		return nil, errBundle
	}
	if _, err := packed.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, errBundle
	}
	return ordered(sources)
}

func untar(r io.Reader) ([]source, error) {
	var sources []source
	seen := map[string]bool{}
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return sources, nil
		}
		if err != nil {
			return nil, errBundle
		}
		name, err := entryName(header)
		if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeDir || beside(name) {
			continue
		}
		if seen[name] || len(sources) == maxFiles {
			return nil, invalid("a policy set has at most %d files, each once", maxFiles)
		}
		seen[name] = true
		text, err := readFile(name, archive)
		if errors.Is(err, gateway.Invalid) {
			return nil, err
		}
		if err != nil {
			return nil, errBundle
		}
		sources = append(sources, source{name, text})
	}
}

// entryName returns the name of a file or folder of a set, or why it is none.
func entryName(h *tar.Header) (string, error) {
	name := strings.TrimPrefix(h.Name, "./")
	if h.Typeflag == tar.TypeDir {
		name = strings.TrimSuffix(name, "/")
		if name == "" || name == "." {
			return ".", nil
		}
	}
	if !fs.ValidPath(name) || name != path.Clean(name) {
		return "", invalid("a name in the bundle leads out of it")
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return name, folder(name)
	case tar.TypeReg:
	default:
		return "", invalid("the bundle holds something that is no regular file")
	}
	if beside(name) {
		return name, nil
	}
	if err := named(name); err != nil {
		return "", err
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if err := folder(dir); err != nil {
			return "", err
		}
	}
	return name, nil
}
