package configs

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// minV is the least variance of a published count: no table of feasible noise
// exists below it (disclosure.md 2.3).
const minV = 50

type cubeFile struct {
	Lineage string `yaml:"lineage"`
	Window  struct {
		From string `yaml:"from"`
		To   string `yaml:"to"`
	} `yaml:"window"`
	V        float64 `yaml:"v"`
	Profile  string  `yaml:"profile"`
	Standing *struct {
		Mode gateway.StandingMode `yaml:"mode"`
	} `yaml:"standing"`
	Public *struct {
		Rho    string `yaml:"rho"`
		Yearly string `yaml:"yearly"`
		Delta  string `yaml:"delta"`
	} `yaml:"public"`
	Include    string              `yaml:"include"`
	Dimensions []dimensionFile     `yaml:"dimensions"`
	Cubes      []cubeItem          `yaml:"cubes"`
	Indicators []indicatorFile     `yaml:"indicators"`
	Values     []valueFile         `yaml:"values"`
	Gate       *gateFile           `yaml:"gate"`
	Impossible []map[string]string `yaml:"impossible"`
	Implied    []struct {
		If   map[string]string `yaml:"if"`
		Then map[string]string `yaml:"then"`
	} `yaml:"implied"`
}

type cubeItem struct {
	ID         string            `yaml:"id"`
	Title      gateway.Text      `yaml:"title"`
	Grain      gateway.Grain     `yaml:"grain"`
	Dimensions []string          `yaml:"dimensions"`
	Cap        int               `yaml:"cap"`
	Apart      [][]string        `yaml:"apart"`
	Caps       map[string]int    `yaml:"caps"`
	Measures   []gateway.Measure `yaml:"measures"`
	Values     []string          `yaml:"values"`
}

type dimensionFile struct {
	Name      string                `yaml:"name"`
	Title     gateway.Text          `yaml:"title"`
	Kind      gateway.DimensionKind `yaml:"kind"`
	Levels    []string              `yaml:"levels"`
	Source    sourceFile            `yaml:"source"`
	Codes     []string              `yaml:"codes"`
	Other     *nodeFile             `yaml:"other"`
	Nodes     []nodeFile            `yaml:"nodes"`
	Groups    []nodeFile            `yaml:"groups"`
	Bands     map[string][2]int     `yaml:"bands"`
	Sensitive bool                  `yaml:"sensitive"`
	Omitted   string                `yaml:"omitted"`
}

type sourceFile struct {
	Kind    gateway.SourceKind              `yaml:"kind"`
	Column  string                          `yaml:"column"`
	Start   gateway.ContractID              `yaml:"start"`
	Targets map[gateway.ContractID][]string `yaml:"targets"`
	Days    int                             `yaml:"days"`
	Paths   []pathFile                      `yaml:"paths"`
}

type nodeFile struct {
	Code    string       `yaml:"code"`
	Title   gateway.Text `yaml:"title"`
	Members []string     `yaml:"members"`
	Outcome *outcomeFile `yaml:"outcome"`
}

// Definitions returns all embedded release definitions by name.
func Definitions() (map[string]*gateway.Definition, error) {
	files, err := fs.Glob(embedded, "cubes/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing release definitions: %w", err)
	}
	all := map[string]*gateway.Definition{}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".yaml")
		all[name], err = Definition(name)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Definition returns an embedded release definition by name: "demo" or
// "national".
func Definition(name string) (*gateway.Definition, error) {
	contracts, err := Contracts()
	if err != nil {
		return nil, err
	}
	return LoadDefinition(embedded, name, contracts)
}

// LoadDefinition reads cubes/name.yaml of a folder and holds it against the
// contracts whose records the release will count. Nodes are numbered as the
// warehouse finds them: by the code list of the column, by the order of the
// contracts from 1, by [gateway.Quarter], by year, by their own order from 1.
// Another window is set with [gateway.Definition.Window].
func LoadDefinition(fsys fs.FS, name string, contracts []*gateway.Contract) (*gateway.Definition, error) {
	if !namePattern.MatchString(name) {
		return nil, gateway.Errorf(gateway.NotFound, "there is no release definition of that name")
	}
	if _, err := fs.Stat(fsys, "cubes/"+name+".yaml"); err != nil {
		return nil, gateway.Errorf(gateway.NotFound, "there is no release definition %s", name)
	}
	return readDefinition(fsys, "cubes/"+name+".yaml", name, contracts)
}

// DefinitionFile reads a release definition that lies anywhere and holds it
// against the embedded contracts: for plans of releases that are not built yet.
func DefinitionFile(file string) (*gateway.Definition, error) {
	contracts, err := Contracts()
	if err != nil {
		return nil, err
	}
	return readDefinition(os.DirFS(filepath.Dir(file)), filepath.Base(file), "", contracts)
}

// readDefinition reads a definition whose lineage must have a name, if one is
// given.
func readDefinition(fsys fs.FS, file, lineage string, contracts []*gateway.Contract) (*gateway.Definition, error) {
	r := &cubeReader{contracts: contracts, found: &problems{}}
	doc := open(fsys, file, &r.file, r.found)
	if doc == nil {
		return nil, r.found.err()
	}
	r.top = doc.top()
	switch {
	case lineage != "" && r.file.Lineage != lineage:
		r.top.at("lineage").bad("lineage %q is not the name of the file", r.file.Lineage)
	case !namePattern.MatchString(r.file.Lineage):
		r.top.at("lineage").bad("lineage %q does not match %s", r.file.Lineage, namePattern)
	}
	from, to := r.window()
	r.def = &gateway.Definition{Lineage: r.file.Lineage, V: r.file.V, From: from, To: to}
	r.readProfile()
	r.include(fsys, file)
	for i, f := range r.parts {
		for j := range f.Dimensions {
			r.readDimension(&f.Dimensions[j], r.tops[i].at("dimensions").at(j))
		}
	}
	r.readValues()
	r.readCubes()
	r.readFacts()
	r.readIndicators()
	r.readGate()
	r.readBreaks()
	if err := r.found.err(); err != nil {
		return nil, err
	}
	def, err := r.def.Window(from, to) // which makes the quarters and years
	if err != nil {
		r.top.at("window").bad("%v", err)
		return nil, r.found.err()
	}
	return def, nil
}

// A cubeReader reads one release definition.
type cubeReader struct {
	file      cubeFile
	top       place
	contracts []*gateway.Contract
	def       *gateway.Definition
	found     *problems
	// parts are what the file includes and the file, with their tops.
	parts []*cubeFile
	tops  []place
	paths []gateway.Path // of the dimension at hand
}

func (r *cubeReader) window() (from, to gateway.Quarter) {
	at := r.top.at("window")
	from, err := gateway.ParseQuarter(r.file.Window.From)
	if err != nil {
		at.at("from").bad("%v", err)
	}
	to, err = gateway.ParseQuarter(r.file.Window.To)
	if err != nil {
		at.at("to").bad("%v", err)
	}
	if _, err := (&gateway.Definition{}).Window(from, to); err != nil {
		at.bad("%v", err)
	}
	return from, to
}

func (r *cubeReader) readCubes() {
	used := map[string]bool{}
	for i, part := range r.parts {
		for j := range part.Cubes {
			r.readCube(&part.Cubes[j], r.tops[i].at("cubes").at(j))
		}
	}
	if len(r.def.Cubes) == 0 {
		r.top.bad("no cube is defined")
	}
	for _, c := range r.def.Cubes {
		for _, name := range c.Dimensions {
			used[name] = true
		}
	}
	for i, part := range r.parts {
		for j, d := range part.Dimensions {
			if !used[d.Name] {
				r.tops[i].at("dimensions").at(j).bad("no cube uses dimension %s", d.Name)
			}
		}
	}
	for i, v := range r.file.Values {
		if !slices.ContainsFunc(r.def.Cubes, func(c gateway.Cube) bool { return slices.Contains(c.Values, v.ID) }) {
			r.top.at("values").at(i).bad("no cube uses value %s", v.ID)
		}
	}
}

func (r *cubeReader) readCube(f *cubeItem, at place) {
	c := gateway.Cube{
		ID: f.ID, Title: f.Title, Grain: f.Grain, Dimensions: f.Dimensions,
		Cap: f.Cap, Apart: f.Apart, Caps: f.Caps, Measures: f.Measures, Values: f.Values,
	}
	if !namePattern.MatchString(c.ID) || r.def.Cube(c.ID) != nil {
		at.at("id").bad("cube id %q does not match %s, or is given twice", c.ID, namePattern)
	}
	r.checkCube(&c, at)
	r.def.Cubes = append(r.def.Cubes, c)
}

func (r *cubeReader) checkCube(c *gateway.Cube, at place) {
	if c.Title.EN == "" {
		at.at("title").bad("cube %s has no English title", c.ID)
	}
	if c.Grain != gateway.Children && c.Grain != gateway.Events {
		at.at("grain").bad("grain %q is neither %s nor %s", c.Grain, gateway.Children, gateway.Events)
	}
	if c.Cap < 1 || c.Cap > gateway.MaxDepth {
		at.at("cap").bad("cap must be from 1 to %d", gateway.MaxDepth)
	}
	if len(c.Dimensions) == 0 {
		at.bad("cube %s has no dimensions", c.ID)
	}
	for i, name := range c.Dimensions {
		if r.def.Dimension(name) == nil || slices.Contains(c.Dimensions[:i], name) {
			at.at("dimensions").at(i).bad("dimension %q is not defined, or is given twice", name)
		}
	}
	for i, group := range c.Apart {
		if len(group) < 2 {
			at.at("apart").at(i).bad("dimensions that are kept apart come in groups of two or more")
		}
		for j, name := range group {
			if !slices.Contains(c.Dimensions, name) || slices.Contains(group[:j], name) {
				at.at("apart").at(i).at(j).bad("dimension %q is not one of the cube's, or is given twice", name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Caps)) {
		if limit := c.Caps[name]; !slices.Contains(c.Dimensions, name) || limit < 1 || limit >= c.Cap {
			at.at("caps").at(name).bad("a cap of a dimension is from 1 to less than the cube's cap, and of one of its dimensions")
		}
	}
	checkMeasures(c, at)
	r.checkCubeValues(c, at)
}

func checkMeasures(c *gateway.Cube, at place) {
	if len(c.Measures) == 0 {
		at.bad("cube %s has no measures", c.ID)
	}
	for i, m := range c.Measures {
		if (m != gateway.CountChildren && m != gateway.CountRecords) || slices.Contains(c.Measures[:i], m) {
			at.at("measures").at(i).bad("measure %q is neither %s nor %s, or is given twice", m, gateway.CountChildren, gateway.CountRecords)
		}
	}
}
