package policies

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Limits of a policy set. The shipped one is a tenth of them.
const (
	maxFiles     = 256
	maxFileBytes = 256 << 10
)

// dataFile holds the numbers; it is the only file that is not Rego.
const dataFile = "data.json"

// topics are the folders of a set. A rule outside them would decide nothing.
var topics = []string{"access", "contract", "ingest", "release", "rows"}

var (
	folderName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	regoName   = regexp.MustCompile(`^[a-z][a-z0-9_]*\.rego$`)
)

// A source is one file of a set.
type source struct {
	name string // with slashes, from the set's root
	text []byte
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.rego") }

// read collects the files of a set, sorted by name. Go files and Markdown in the
// root are passed over, since a set may lie beside them; anything else that a set
// does not consist of is refused, so that nobody reads a file that is not in force.
func read(fsys fs.FS) ([]source, error) {
	var sources []source
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case entry.IsDir():
			return folder(name)
		case beside(name):
			return nil
		}
		text, err := file(fsys, name, entry)
		if err != nil {
			return err
		}
		sources = append(sources, source{name, text})
		if len(sources) > maxFiles {
			return invalid("a policy set has at most %d files", maxFiles)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ordered(sources)
}

func folder(name string) error {
	if !folderName.MatchString(path.Base(name)) || !slices.Contains(topics, strings.Split(name, "/")[0]) {
		return invalid("%q: a policy set has the folders %s", name, strings.Join(topics, ", "))
	}
	return nil
}

func beside(name string) bool {
	ext := path.Ext(name)
	return !strings.Contains(name, "/") && (ext == ".go" || ext == ".md")
}

func file(fsys fs.FS, name string, entry fs.DirEntry) ([]byte, error) {
	if !entry.Type().IsRegular() {
		return nil, invalid("%q: a policy set holds regular files only", name)
	}
	if err := named(name); err != nil {
		return nil, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readFile(name, f)
}

// named refuses a file that a set does not consist of.
func named(name string) error {
	if name != dataFile && (!regoName.MatchString(path.Base(name)) || !strings.Contains(name, "/")) {
		return invalid("%q: a policy set holds %s and, in its folders, files like police_test.rego", name, dataFile)
	}
	return nil
}

func readFile(name string, r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFileBytes {
		return nil, invalid("%q: a policy file has at most %d bytes", name, maxFileBytes)
	}
	return text, nil
}

// ordered sorts the files of a set and demands its data.
func ordered(sources []source) ([]source, error) {
	slices.SortFunc(sources, func(a, b source) int { return strings.Compare(a.name, b.name) })
	if !slices.ContainsFunc(sources, func(s source) bool { return s.name == dataFile }) {
		return nil, invalid("a policy set needs the file %s", dataFile)
	}
	return sources, nil
}

// revisionOf hashes what "sha256sum" prints of the sorted files, so that a revision
// can be checked without this program (trust.md 4.3). Names hold no line feed, so no
// two sets of files have the same input.
func revisionOf(sources []source) gateway.Revision {
	h := sha256.New()
	for _, s := range sources {
		_, _ = fmt.Fprintf(h, "%x  %s\n", sha256.Sum256(s.text), s.name)
	}
	return gateway.Revision(hex.EncodeToString(h.Sum(nil)))
}

// parseData reads data.json. Its numbers stay as they are written.
func parseData(text []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var data map[string]any
	if err := dec.Decode(&data); err != nil {
		return nil, invalid("%s: not a JSON object: %v", dataFile, err)
	}
	if dec.More() {
		return nil, invalid("%s: something follows the object", dataFile)
	}
	return data, nil
}

// packageOf returns the two packages that a Rego file may declare, by its name:
// the folder's, or one below it named like the file.
func packageOf(name string) (folder, own string) {
	folder = "data." + strings.ReplaceAll(path.Dir(name), "/", ".")
	own = folder + "." + strings.TrimSuffix(path.Base(name), ".rego")
	return folder, own
}

func invalid(format string, args ...any) error {
	return gateway.Errorf(gateway.Invalid, format, args...)
}
