package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pana-exchange/pana/gateway"
)

// problems collects what is wrong with files, so that their author mends all of
// it at once.
type problems struct {
	lines []string
}

func (p *problems) add(file string, line int, format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf("%s:%d: %s", file, line, fmt.Sprintf(format, args...)))
}

func (p *problems) err() error {
	if len(p.lines) == 0 {
		return nil
	}
	return &gateway.Error{Kind: gateway.Invalid, Detail: strings.Join(p.lines, "\n")}
}

// A document is one YAML file: decoded strictly into a struct, and kept as nodes
// because only nodes know their lines.
type document struct {
	file  string
	root  *yaml.Node
	found *problems
}

// open decodes a YAML file into a struct. It returns nil, having noted why, when
// the file cannot be read as one document without unknown or doubled keys.
func open(fsys fs.FS, file string, into any, found *problems) *document {
	text, err := fs.ReadFile(fsys, file)
	if err != nil {
		found.add(file, 1, "cannot be read: %v", err)
		return nil
	}
	return read(file, text, into, found)
}

// read is open for text that is there.
func read(file string, text []byte, into any, found *problems) *document {
	d := &document{file: file, root: &yaml.Node{}, found: found}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		d.syntax(err)
		return nil
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		found.add(file, 1, "holds more than one document")
		return nil
	}
	if err := yaml.Unmarshal(text, d.root); err != nil {
		d.syntax(err)
		return nil
	}
	return d
}

var (
	yamlLine    = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	unknownKey  = regexp.MustCompile(`^field (.*) not found in type .*$`)
	doubledKey  = regexp.MustCompile(`^mapping key (".*") already defined at line (\d+)$`)
	doubledName = regexp.MustCompile(`^field (.*) already set in type .*$`)
)

// syntax notes what the YAML library says, in our words: its own name Go types.
func (d *document) syntax(err error) {
	lines := []string{err.Error()}
	if e, ok := errors.AsType[*yaml.TypeError](err); ok {
		lines = e.Errors
	}
	for _, text := range lines {
		line := 1
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			line, _ = strconv.Atoi(m[1])
			text = m[2]
		}
		text = unknownKey.ReplaceAllString(text, `unknown key "$1"`)
		text = doubledKey.ReplaceAllString(text, `key $1 is given twice, first on line $2`)
		text = doubledName.ReplaceAllString(text, `key "$1" is given twice`)
		d.found.add(d.file, line, "%s", strings.TrimPrefix(text, "yaml: "))
	}
}

// A place is a node of a document: where to point when something is wrong.
type place struct {
	doc  *document
	node *yaml.Node
}

func (d *document) top() place {
	if len(d.root.Content) == 0 {
		return place{d, d.root}
	}
	return place{d, d.root.Content[0]}
}

// at returns the place of a key of a mapping or of an item of a sequence, or the
// place itself where there is none.
func (p place) at(key any) place {
	switch k := key.(type) {
	case string:
		for i := 0; i+1 < len(p.node.Content) && p.node.Kind == yaml.MappingNode; i += 2 {
			if p.node.Content[i].Value == k {
				return place{p.doc, p.node.Content[i+1]}
			}
		}
	case int:
		if p.node.Kind == yaml.SequenceNode && k < len(p.node.Content) {
			return place{p.doc, p.node.Content[k]}
		}
	}
	return p
}

// bad notes that something is wrong at the place.
func (p place) bad(format string, args ...any) {
	p.doc.found.add(p.doc.file, max(p.node.Line, 1), format, args...)
}
