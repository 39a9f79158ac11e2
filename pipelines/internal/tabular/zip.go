package tabular

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"math"
)

// What a workbook may have at most: bytes of its directory, and entries of that, of
// its list of parts and of its list of formats. One has about ten of each.
const (
	maxDirectory = 1 << 20
	maxEntries   = 1000
)

// longDirectoryEnd is how long the two records of ZIP64 are that some writers put
// between the directory and its end record (APPNOTE 4.3.14 and 4.3.15).
const longDirectoryEnd = 56 + 20

// directory reads the directory of the ZIP archive, having looked at how long it
// is: reading it takes memory in proportion.
func (x *XLSX) directory() (map[string]*zip.File, error) {
	if err := x.boundDirectory(); err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(x.file, x.file.size)
	if err != nil {
		return nil, err
	}
	if len(archive.File) > maxEntries {
		return nil, errXML
	}
	files := make(map[string]*zip.File, len(archive.File))
	for _, f := range archive.File {
		if files[f.Name] != nil || f.Method != zip.Store && f.Method != zip.Deflate {
			return nil, errXML
		}
		files[f.Name] = f
	}
	return files, nil
}

// boundDirectory refuses a directory that is long, or not as long as its end record
// says: archive/zip reads from its start up to what is no entry, whatever is said.
// A size of 0xFFFF is refused because archive/zip then takes all numbers from the
// records of ZIP64.
func (x *XLSX) boundDirectory() error {
	tail := make([]byte, min(x.file.size, 22+1024))
	if _, err := x.file.ReadAt(tail, x.file.size-int64(len(tail))); err != nil {
		return err
	}
	end := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if end < 0 || len(tail)-end < 22 {
		return errXML
	}
	record := tail[end:]
	entries := binary.LittleEndian.Uint16(record[10:])
	said, from := int64(binary.LittleEndian.Uint32(record[12:])), int64(binary.LittleEndian.Uint32(record[16:]))
	long := x.file.size - int64(len(record)) - from
	if end >= longDirectoryEnd && bytes.HasPrefix(tail[end-longDirectoryEnd:], []byte("PK\x06\x06")) {
		long -= longDirectoryEnd
	}
	if long != said || said > maxDirectory || said == math.MaxUint16 || entries > maxEntries {
		return errXML
	}
	return nil
}

// A budget bounds the bytes that come out of the parts of a file together.
type budget struct {
	limits  EnvelopeLimits
	outside int64
	read    int64
}

func (b *budget) reader(r io.Reader) io.Reader { return &spender{b, r} }

type spender struct {
	budget *budget
	src    io.Reader
}

// Read reads and counts.
func (s *spender) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	b := s.budget
	b.read += int64(n)
	if b.read > b.limits.Bytes || b.read > ratioGrace && b.read/b.limits.Ratio > b.outside {
		return 0, tooLarge("ratio", "the workbook holds far more than its own size; save it anew, or as CSV")
	}
	return n, err
}
