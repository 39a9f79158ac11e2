package policies

import (
	"context"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A File is one file of a policy set, as an officer reads it.
type File struct {
	Name        string `json:"name"` // "rows/police.rego"
	Source      string `json:"source"`
	Test        bool   `json:"test,omitempty"`
	Package     string `json:"package,omitempty"` // "rows.police"; "" for data.json
	Title       string `json:"title,omitempty"`   // from the package's METADATA
	Description string `json:"description,omitempty"`
	Rules       []Rule `json:"rules,omitempty"` // the public rules, in the order of the file
}

// A Rule is a public rule of a policy and its prose.
type Rule struct {
	Name        string `json:"name"` // treatment.name, or refuse contains "CODE"
	Line        int    `json:"line"`
	Description string `json:"description,omitempty"`
}

// Files returns the set's files, sorted by name. Every one of them counts in the
// revision.
func (s *Set) Files() []File {
	files := make([]File, 0, len(s.sources))
	for _, src := range s.sources {
		file := File{Name: src.name, Source: string(src.text), Test: src.test()}
		if m := s.modules[src.name]; m != nil {
			file.describe(m)
		} else if m := s.tests[src.name]; m != nil {
			file.describe(m)
		}
		files = append(files, file)
	}
	return files
}

func (f *File) describe(m *ast.Module) {
	f.Package = strings.TrimPrefix(m.Package.Path.String(), "data.")
	for _, a := range m.Annotations {
		if a.Scope == "package" {
			f.Title, f.Description = a.Title, joined(a.Description)
		}
	}
	for _, r := range m.Rules {
		if name := headOf(r); !f.Test && !strings.HasPrefix(name, "_") {
			f.Rules = append(f.Rules, Rule{Name: name, Line: r.Location.Row, Description: prose(r)})
		}
	}
}

// headOf names a rule without its value: treatment.name, refuse contains "CODE".
func headOf(r *ast.Rule) string {
	name := r.Head.Ref().String()
	if r.Head.Key == nil || r.Head.Value != nil {
		return name
	}
	if code, ok := r.Head.Key.Value.(ast.String); ok {
		return fmt.Sprintf("%s contains %q", name, string(code))
	}
	return name
}

func prose(r *ast.Rule) string {
	for _, a := range r.Annotations {
		if a.Description != "" {
			return joined(a.Description)
		}
	}
	return ""
}

func joined(prose string) string { return strings.Join(strings.Fields(prose), " ") }

// CompileFiles compiles a set from its files, as [Set.Files] returned them: whoever
// reads the policies in force has the same set, with the same revision.
func CompileFiles(ctx context.Context, files []File) (*Set, error) {
	sources := make([]source, 0, len(files))
	for _, f := range files {
		if err := named(f.Name); err != nil {
			return nil, err
		}
		sources = append(sources, source{f.Name, []byte(f.Source)})
	}
	sources, err := ordered(sources)
	if err != nil {
		return nil, err
	}
	return compileSources(ctx, sources)
}
