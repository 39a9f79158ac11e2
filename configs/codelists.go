package configs

import (
	"encoding/csv"
	"errors"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// listIndex is codelists/codelists.yaml.
type listIndex struct {
	Lists []struct {
		ID     gateway.CodeListID `yaml:"id"`
		Title  gateway.Text       `yaml:"title"`
		Status string             `yaml:"status"`
		Source string             `yaml:"source"`
	} `yaml:"lists"`
}

var (
	listHeader   = []string{"code", "kk", "ru", "en", "parent", "valid_from", "valid_to", "successor"}
	listStatuses = []string{"official", "provisional", "project"}

	namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	// Codes hold neither "|", which separates the codes of a cell and the parts of
	// a label, nor "=" (decisions.md 15), nor anything that a spreadsheet runs.
	codePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	// A node of a dimension may also be a pair of contracts, or an open number.
	nodePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)
)

// LoadCodeLists reads the code lists of a folder.
func LoadCodeLists(fsys fs.FS) (map[gateway.CodeListID]*gateway.CodeList, error) {
	found := &problems{}
	lists := map[gateway.CodeListID]*gateway.CodeList{}
	var index listIndex
	doc := open(fsys, "codelists/codelists.yaml", &index, found)
	if doc == nil {
		return nil, found.err()
	}
	for i, entry := range index.Lists {
		at := doc.top().at("lists").at(i)
		switch {
		case !namePattern.MatchString(string(entry.ID)):
			at.at("id").bad("id %q does not match %s", entry.ID, namePattern)
			continue
		case lists[entry.ID] != nil:
			at.at("id").bad("code list %s is named twice", entry.ID)
			continue
		case entry.Title.EN == "" || entry.Source == "":
			at.bad("code list %s has no English title or no source", entry.ID)
		case !slices.Contains(listStatuses, entry.Status):
			at.at("status").bad("status %q is none of %s", entry.Status, strings.Join(listStatuses, ", "))
		}
		file := listFile{name: "codelists/" + string(entry.ID) + ".csv", found: found}
		list, err := gateway.NewCodeList(gateway.CodeList{
			ID: entry.ID, Title: entry.Title, Status: entry.Status, Source: entry.Source, Codes: file.read(fsys),
		})
		if err != nil {
			found.add(file.name, 1, "%v", err)
			continue
		}
		file.check(list)
		lists[entry.ID] = list
	}
	unnamedLists(fsys, lists, found)
	return lists, found.err()
}

// unnamedLists notes files that the index forgot: a list without status and
// source is not one.
func unnamedLists(fsys fs.FS, lists map[gateway.CodeListID]*gateway.CodeList, found *problems) {
	files, err := fs.Glob(fsys, "codelists/*.csv")
	if err != nil {
		found.add("codelists", 1, "%v", err)
	}
	for _, file := range files {
		if lists[gateway.CodeListID(strings.TrimSuffix(path.Base(file), ".csv"))] == nil {
			found.add(file, 1, "is not in codelists/codelists.yaml")
		}
	}
}

// A listFile is one CSV file of codes.
type listFile struct {
	name  string
	found *problems
	lines []int // of the codes
}

func (f *listFile) read(fsys fs.FS) []gateway.Code {
	opened, err := fsys.Open(f.name)
	if err != nil {
		f.found.add(f.name, 1, "cannot be read: %v", err)
		return nil
	}
	defer func() { _ = opened.Close() }()
	reader := csv.NewReader(opened)
	reader.FieldsPerRecord = len(listHeader)
	header, err := reader.Read()
	if err != nil || !slices.Equal(header, listHeader) {
		f.found.add(f.name, 1, "the header must be %s", strings.Join(listHeader, ","))
		return nil
	}
	var codes []gateway.Code
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return codes
		}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			f.found.add(f.name, parse.Line, "%v", parse.Err)
			return nil
		}
		if err != nil {
			f.found.add(f.name, 1, "cannot be read: %v", err)
			return nil
		}
		line, _ := reader.FieldPos(0)
		f.lines = append(f.lines, line)
		codes = append(codes, gateway.Code{
			Code: row[0], Title: gateway.Text{KK: row[1], RU: row[2], EN: row[3]}, Parent: row[4],
			From: f.day(line, row[5]), To: f.day(line, row[6]), Successor: row[7],
		})
	}
}

func (f *listFile) day(line int, text string) gateway.Day {
	if text == "" {
		return gateway.NoDay
	}
	day, ok := gateway.ParseDay([]byte(text))
	if !ok {
		f.found.add(f.name, line, "%q is not a date", text)
	}
	return day
}

// check holds the codes against one another.
func (f *listFile) check(list *gateway.CodeList) {
	if len(list.Codes) == 0 {
		f.found.add(f.name, 1, "holds no code")
	}
	for i, c := range list.Codes {
		bad := func(format string, args ...any) { f.found.add(f.name, f.lines[i], format, args...) }
		if !codePattern.MatchString(c.Code) {
			bad("code %q does not match %s", c.Code, codePattern)
		}
		if c.Title.EN == "" {
			bad("code %q has no English label", c.Code)
		}
		if c.From != gateway.NoDay && c.To != gateway.NoDay && c.From > c.To {
			bad("code %q is valid to a day before the first", c.Code)
		}
		if c.Parent != "" && !above(list, c) {
			bad("parent %q of code %q is not in the list, or below the code itself", c.Parent, c.Code)
		}
		if c.Successor == "" {
			continue
		}
		if _, ok := list.Number([]byte(c.Successor)); !ok || c.To == gateway.NoDay || c.Successor == c.Code {
			bad("successor %q of code %q needs to be another code of the list, and the code a valid_to", c.Successor, c.Code)
		}
	}
}

// above reports whether the way from a code up through its parents ends.
func above(list *gateway.CodeList, c gateway.Code) bool {
	for range list.Codes {
		n, ok := list.Number([]byte(c.Parent))
		if !ok {
			return false
		}
		if c = list.Codes[n-1]; c.Parent == "" {
			return true
		}
	}
	return false
}
