package configs

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// commonFile is contracts/common.yaml.
type commonFile struct {
	Contracts []gateway.ContractID `yaml:"contracts"`
	Fields    []fieldFile          `yaml:"fields"`
}

// contractFile is one of the other files of contracts/.
type contractFile struct {
	ID      gateway.ContractID    `yaml:"id"`
	Version int                   `yaml:"version"`
	Title   gateway.Text          `yaml:"title"`
	Until   string                `yaml:"until"`
	Dates   []gateway.DateForm    `yaml:"dates"`
	Unit    bool                  `yaml:"unit"`
	Order   [][]gateway.FieldName `yaml:"order"`
	Fields  []fieldFile           `yaml:"fields"`
}

// fieldFile is one field, or the names of some of common.yaml's.
type fieldFile struct {
	Common       []gateway.FieldName `yaml:"common"`
	Name         gateway.FieldName   `yaml:"name"`
	Title        gateway.Text        `yaml:"title"`
	Type         string              `yaml:"type"`
	Role         string              `yaml:"role"`
	Class        string              `yaml:"class"`
	List         gateway.CodeListID  `yaml:"list"`
	Multi        bool                `yaml:"multi"`
	Forms        []string            `yaml:"forms"`
	Required     bool                `yaml:"required"`
	RequiredWhen *conditionFile      `yaml:"required_when"`
	MaxBytes     int                 `yaml:"max_bytes"`
	Min          *int                `yaml:"min"`
	Max          *int                `yaml:"max"`
	Event        bool                `yaml:"event"`
	Refused      bool                `yaml:"refused"`
	Column       string              `yaml:"column"`
	NamePart     gateway.NamePart    `yaml:"name_part"`
}

type conditionFile struct {
	Field   gateway.FieldName `yaml:"field"`
	Empty   bool              `yaml:"empty"`
	Present bool              `yaml:"present"`
	In      []string          `yaml:"in"`
}

// A placedField is a field with the place that says so.
type placedField struct {
	fieldFile
	at place
}

// A contractReader reads the contracts of one folder.
type contractReader struct {
	fsys   fs.FS
	lists  map[gateway.CodeListID]*gateway.CodeList
	common []placedField
	found  *problems
}

func loadContracts(fsys fs.FS, lists map[gateway.CodeListID]*gateway.CodeList) ([]*gateway.Contract, error) {
	r := &contractReader{fsys: fsys, lists: lists, found: &problems{}}
	var common commonFile
	doc := open(fsys, "contracts/common.yaml", &common, r.found)
	if doc == nil {
		return nil, r.found.err()
	}
	r.readCommon(common, doc.top())
	var contracts []*gateway.Contract
	for i, id := range common.Contracts {
		at := doc.top().at("contracts").at(i)
		switch {
		case !namePattern.MatchString(string(id)) || id == "common":
			at.bad("contract id %q does not match %s", id, namePattern)
		case slices.Contains(common.Contracts[:i], id):
			at.bad("contract %s is named twice", id)
		default:
			contracts = append(contracts, r.read(id))
		}
	}
	if len(common.Contracts) == 0 {
		doc.top().bad("no contract is named")
	}
	r.unnamed(common.Contracts)
	if err := r.found.err(); err != nil {
		return nil, err
	}
	return contracts, nil
}

func (r *contractReader) readCommon(common commonFile, at place) {
	for i, f := range common.Fields {
		at := at.at("fields").at(i)
		if len(f.Common) > 0 {
			at.bad("a common field cannot be made of others")
		}
		if r.commonField(f.Name) != nil {
			at.at("name").bad("field %s is given twice", f.Name)
		}
		r.common = append(r.common, placedField{f, at})
	}
}

func (r *contractReader) commonField(name gateway.FieldName) *placedField {
	for i := range r.common {
		if r.common[i].Name == name {
			return &r.common[i]
		}
	}
	return nil
}

// unnamed notes contracts that common.yaml does not name: silence would drop a
// sector.
func (r *contractReader) unnamed(named []gateway.ContractID) {
	files, err := fs.Glob(r.fsys, "contracts/*.yaml")
	if err != nil {
		r.found.add("contracts", 1, "%v", err)
	}
	for _, file := range files {
		id := strings.TrimSuffix(path.Base(file), ".yaml")
		if id != "common" && !slices.Contains(named, gateway.ContractID(id)) {
			r.found.add(file, 1, "is not named in contracts/common.yaml")
		}
	}
}

// read returns a contract. What is wrong with it is noted.
func (r *contractReader) read(id gateway.ContractID) *gateway.Contract {
	var file contractFile
	doc := open(r.fsys, "contracts/"+string(id)+".yaml", &file, r.found)
	if doc == nil {
		return nil
	}
	top := doc.top()
	c := &gateway.Contract{ID: file.ID, Version: file.Version, Title: file.Title, Until: gateway.NoDay, Unit: file.Unit}
	if c.ID != id {
		top.at("id").bad("id %q is not the name of the file", c.ID)
	}
	if c.Version < 1 {
		top.at("version").bad("version must be 1 or more")
	}
	if c.Title.EN == "" {
		top.at("title").bad("the contract has no English title")
	}
	if file.Until != "" {
		day, ok := gateway.ParseDay([]byte(file.Until))
		if !ok {
			top.at("until").bad("%q is not a date", file.Until)
		}
		c.Until = day
	}
	for i, form := range file.Dates {
		known := []gateway.DateForm{gateway.DateDotted, gateway.DateShort, gateway.DateSlashed, gateway.DateSerial}
		if !slices.Contains(known, form) || slices.Contains(file.Dates[:i], form) {
			top.at("dates").at(i).bad("%q is none of %s, each once", form, known)
		}
	}
	c.Dates = file.Dates
	fields := r.expand(file.Fields, top)
	for _, f := range fields {
		c.Fields = append(c.Fields, r.field(f))
	}
	checkFields(c, fields, top)
	c.Order = readOrder(c, file.Order, top.at("order"))
	return c
}

// expand puts common fields in the place of their names.
func (r *contractReader) expand(files []fieldFile, top place) []placedField {
	var fields []placedField
	for i, f := range files {
		at := top.at("fields").at(i)
		if len(f.Common) == 0 {
			fields = append(fields, placedField{f, at})
			continue
		}
		if len(at.node.Content) != 2 {
			at.bad("common stands alone: define the field here to change it")
		}
		for j, name := range f.Common {
			common := r.commonField(name)
			if common == nil {
				at.at("common").at(j).bad("contracts/common.yaml has no field %q", name)
				continue
			}
			fields = append(fields, *common)
		}
	}
	return fields
}

// readOrder expands chains of dates: each must not be after any that follows it,
// because those between may be empty.
func readOrder(c *gateway.Contract, chains [][]gateway.FieldName, at place) []gateway.OrderRule {
	var rules []gateway.OrderRule
	for i, chain := range chains {
		if len(chain) < 2 {
			at.at(i).bad("an order needs two dates or more")
		}
		for j, name := range chain {
			if f := c.Field(name); f == nil || f.Type != gateway.TypeDate {
				at.at(i).at(j).bad("%q is not a date of the contract", name)
			}
			for _, earlier := range chain[:j] {
				rule := gateway.OrderRule{Earlier: earlier, Later: name}
				if earlier == name || slices.Contains(rules, gateway.OrderRule{Earlier: name, Later: earlier}) {
					at.at(i).at(j).bad("%q is both before and after %q", name, earlier)
				}
				if !slices.Contains(rules, rule) {
					rules = append(rules, rule)
				}
			}
		}
	}
	return rules
}
