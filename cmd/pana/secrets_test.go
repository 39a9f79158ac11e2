package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// secret are the types whose values hold keys or raw cells: none of them may be given to
// what prints, logs or encodes (trust.md 6.5 C7).
var secret = map[string][]string{
	"github.com/pana-exchange/pana/pipelines/pseudonym":        {"Keyring", "Hasher", "file", "Envelope"},
	"github.com/pana-exchange/pana/pipelines/internal/tabular": {"Row", "CSV", "NDJSON", "XLSX", "Parquet", "spool"},
	"github.com/pana-exchange/pana/pipelines":                  {"stream"},
}

// telling are the packages that would show what they are given. Reading is allowed:
// json.Unmarshal fills a keyring file.
var telling = map[string]bool{
	"fmt": true, "log": true, "log/slog": true, "errors": true, "encoding/json": true, "encoding/gob": true, "encoding/xml": true, "go.yaml.in/yaml/v3": true,
}

// Nothing in the module prints, logs or encodes a type that holds secrets; and a fault
// that is planted is found.
func TestSecretsAreNotTold(t *testing.T) {
	if testing.Short() {
		t.Skip("type-checks the whole module; the long form runs it")
	}
	packages, exports := listModule(t)
	for _, p := range packages {
		var files []string
		for _, name := range p.GoFiles {
			files = append(files, filepath.Join(p.Dir, name))
		}
		for _, found := range check(t, p.ImportPath, files, exports, nil) {
			t.Error(found)
		}
	}
	for name, source := range map[string]string{
		"itself":       `fmt.Println(k)`,
		"in a struct":  `slog.Info("x", slog.Any("k", struct{ k *pseudonym.Keyring }{k}))`,
		"in a map":     `_, _ = json.Marshal(map[string]*pseudonym.Hasher{})`,
		"in an error":  `_ = fmt.Errorf("%v", []pseudonym.Keyring{*k})`,
		"in a closure": `func() { fmt.Printf("%x", *k) }()`,
	} {
		planted := `package planted
import ("encoding/json"; "fmt"; "log/slog"; "github.com/pana-exchange/pana/pipelines/pseudonym")
var _, _, _ = json.Marshal, fmt.Sprint, slog.Any
func f(k *pseudonym.Keyring) { ` + source + ` }`
		if len(check(t, "planted", []string{"planted.go"}, exports, []byte(planted))) == 0 {
			t.Errorf("a key %s is told, and was not found", name)
		}
	}
}

type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	Module                  *struct{ Main bool }
}

// listModule returns the packages of the module, and where the export data of all are.
func listModule(t *testing.T) (ours []listed, exports map[string]string) {
	t.Helper()
	c := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Module", "../../...")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports = map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if p.Module != nil && p.Module.Main {
			ours = append(ours, p)
		}
	}
	return ours, exports
}

// check returns the calls of a package that tell a secret.
func check(t *testing.T, path string, files []string, exports map[string]string, source []byte) (found []string) {
	t.Helper()
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range files {
		var text any
		if source != nil {
			text = source
		}
		f, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	})}
	if _, err := config.Check(path, fset, parsed, info); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !tells(info, call) {
				return true
			}
			for _, arg := range call.Args {
				if holds(info.Types[arg].Type, map[types.Type]bool{}) {
					found = append(found, fmt.Sprintf("%s: what is given here holds a secret", fset.Position(arg.Pos())))
				}
			}
			return true
		})
	}
	return found
}

// tells reports whether a call is of a function that shows its arguments.
func tells(info *types.Info, call *ast.CallExpr) bool {
	var name *ast.Ident
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.SelectorExpr:
		name = f.Sel
	case *ast.Ident:
		name = f
	default:
		return false
	}
	f, ok := info.Uses[name].(*types.Func)
	return ok && f.Pkg() != nil && telling[f.Pkg().Path()] && !strings.HasPrefix(f.Name(), "Unmarshal")
}

// holds reports whether a value of a type shows a secret, however deep.
func holds(t types.Type, seen map[types.Type]bool) bool {
	if t == nil || seen[t] {
		return false
	}
	seen[t] = true
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		if p := t.Obj().Pkg(); p != nil {
			for _, name := range secret[p.Path()] {
				if t.Obj().Name() == name {
					return true
				}
			}
		}
		return holds(t.Underlying(), seen)
	case *types.Pointer:
		return holds(t.Elem(), seen)
	case *types.Slice:
		return holds(t.Elem(), seen)
	case *types.Array:
		return holds(t.Elem(), seen)
	case *types.Map:
		return holds(t.Key(), seen) || holds(t.Elem(), seen)
	case *types.Struct:
		for f := range t.Fields() {
			if holds(f.Type(), seen) {
				return true
			}
		}
	}
	return false
}
