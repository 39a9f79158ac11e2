package configs

import (
	"maps"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// maxReachedDays bounds how far after a child's first event another may be sought.
const maxReachedDays = 366

// kindsOf says for each source whether a child can be in several nodes: with
// sources of events it can, and in several pairs (disclosure.md 2.1).
var kindsOf = map[gateway.SourceKind]gateway.DimensionKind{
	gateway.EventSector: gateway.Multi, gateway.EventColumn: gateway.Multi, gateway.EventQuarter: gateway.Multi,
	gateway.EventYear: gateway.Multi, gateway.EventSectorCode: gateway.Multi, gateway.SectorPair: gateway.Multi,
	gateway.ChildConst: gateway.Partition, gateway.ChildFirst: gateway.Partition, gateway.ChildMost: gateway.Partition,
	gateway.FirstSector: gateway.Partition, gateway.SectorCount: gateway.Partition, gateway.ReachedIn: gateway.Partition,
	gateway.ChildOutcome: gateway.Multi,
}

// listSource reports whether the leaves are codes of the one list of a column.
func listSource(kind gateway.SourceKind) bool {
	return kind == gateway.EventColumn || kind == gateway.ChildConst || kind == gateway.ChildFirst || kind == gateway.ChildMost
}

func columnSource(kind gateway.SourceKind) bool {
	return listSource(kind) || kind == gateway.EventSectorCode
}

// flatSource reports whether a dimension has one level only. A group of quarters
// may hold the children of a year, and one of a sector's codes those of the sector,
// under a second label (disclosure.md 2.1).
func flatSource(kind gateway.SourceKind) bool {
	switch kind {
	case gateway.EventQuarter, gateway.EventYear, gateway.EventSectorCode, gateway.SectorCount, gateway.SectorPair,
		gateway.ChildOutcome:
		return true
	case gateway.EventSector, gateway.EventColumn, gateway.ChildConst, gateway.ChildFirst, gateway.ChildMost,
		gateway.FirstSector, gateway.ReachedIn:
	}
	return false
}

func (r *cubeReader) readDimension(f *dimensionFile, at place) {
	d := gateway.Dimension{
		Name: f.Name, Title: f.Title, Kind: f.Kind, Levels: f.Levels, Sensitive: f.Sensitive, Omitted: f.Omitted,
		Source: gateway.Source{
			Kind: f.Source.Kind, Column: f.Source.Column, Start: f.Source.Start, Targets: f.Source.Targets, Days: f.Source.Days,
		},
	}
	if !namePattern.MatchString(d.Name) || r.def.Dimension(d.Name) != nil {
		at.at("name").bad("dimension name %q does not match %s, or is given twice", d.Name, namePattern)
	}
	if d.Title.EN == "" {
		at.at("title").bad("dimension %s has no English title", d.Name)
	}
	if kind, ok := kindsOf[d.Source.Kind]; !ok {
		at.at("source").at("kind").bad("source %q is none of %s", d.Source.Kind, sourceNames())
	} else if kind != d.Kind {
		at.at("kind").bad("a dimension of source %s is %s", d.Source.Kind, kind)
	}
	checkLevels(&d, at.at("levels"))
	r.readPaths(f, &d, at)
	r.checkSource(f, at)
	leaves := r.bands(f, r.leaves(f, at), at.at("bands"))
	d.Nodes = r.group(f, leaves, at)
	checkNodes(&d, at)
	r.def.Dimensions = append(r.def.Dimensions, d)
}

func sourceNames() string {
	byName := map[string]bool{}
	for kind := range kindsOf {
		byName[string(kind)] = true
	}
	return names(byName)
}

func checkLevels(d *gateway.Dimension, at place) {
	if len(d.Levels) < 1 || len(d.Levels) > 2 {
		at.bad("dimension %s needs one or two levels", d.Name)
	}
	for i, level := range d.Levels {
		if !namePattern.MatchString(level) || slices.Contains(d.Levels[:i], level) {
			at.at(i).bad("level %q does not match %s, or is given twice", level, namePattern)
		}
	}
}

// checkSource refuses keys that mean nothing for the source.
func (r *cubeReader) checkSource(f *dimensionFile, at place) {
	s, reached := f.Source, f.Source.Kind == gateway.ReachedIn
	if columnSource(s.Kind) != (s.Column != "") {
		at.at("source").bad("a column is for the sources event_column, event_sector_code and child_…, which need one")
	}
	if reached != (s.Start != "" || len(s.Targets) > 0 || s.Days != 0) {
		at.at("source").bad("start, targets and days are for the source reached, which needs them")
	}
	if flatSource(s.Kind) && len(f.Levels) != 1 {
		at.at("levels").bad("a dimension of source %s has one level", s.Kind)
	}
	if (reached || s.Kind == gateway.SectorCount || s.Kind == gateway.ChildOutcome) != (len(f.Nodes) > 0) {
		at.bad("nodes are for the sources reached, sector_count and outcome, which need them")
	}
	if (s.Kind == gateway.ChildOutcome) != (len(s.Paths) > 0) {
		at.at("source").bad("paths are for the source outcome, which needs them")
	}
	if len(f.Codes) > 0 && !listSource(s.Kind) {
		at.at("codes").bad("codes are for sources with a column of one code list")
	}
	if f.Other != nil && (!listSource(s.Kind) || s.Column == gateway.ColumnRegion) {
		at.at("other").bad("other is for sources with a column of one code list, and not for areas, which have groups")
	}
	if !reached {
		return
	}
	if r.contract(s.Start) == nil {
		at.at("source").at("start").bad("there is no contract %q", s.Start)
	}
	if s.Days < 1 || s.Days > maxReachedDays {
		at.at("source").at("days").bad("days must be from 1 to %d", maxReachedDays)
	}
	for _, id := range slices.Sorted(maps.Keys(s.Targets)) {
		r.checkTarget(id, s.Targets[id], at.at("source").at("targets"))
	}
	// One code of an outcome is never published (disclosure.md 2.1).
	if f.Omitted == "" {
		at.bad("an outcome needs the code that is omitted")
	}
}

func (r *cubeReader) checkTarget(id gateway.ContractID, columns []string, at place) {
	c := r.contract(id)
	if c == nil || len(columns) == 0 {
		at.at(string(id)).bad("there is no contract %q, or no date of it is named", id)
		return
	}
	for i, column := range columns {
		if f := stored(c, column); f == nil || f.Type != gateway.TypeDate {
			at.at(string(id)).at(i).bad("contract %s stores no date %q", id, column)
		}
	}
}

func (r *cubeReader) contract(id gateway.ContractID) *gateway.Contract {
	for _, c := range r.contracts {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func stored(c *gateway.Contract, column string) *gateway.Field {
	for i := range c.Fields {
		if c.Fields[i].Column == column {
			return &c.Fields[i]
		}
	}
	return nil
}

// leaves returns the finest nodes of a dimension, with their numbers. Those of
// quarters and years come with the window.
func (r *cubeReader) leaves(f *dimensionFile, at place) []gateway.Node {
	switch f.Source.Kind {
	case gateway.EventColumn, gateway.ChildConst, gateway.ChildFirst, gateway.ChildMost:
		if f.Source.Column != "" {
			return r.codes(f, at)
		}
	case gateway.EventSectorCode:
		return r.sectorCodes(f.Source.Column, at.at("source").at("column"))
	case gateway.EventSector, gateway.FirstSector:
		var nodes []gateway.Node
		for i, c := range r.contracts {
			nodes = append(nodes, gateway.Node{Code: string(c.ID), Title: c.Title, Number: uint16(i + 1)})
		}
		return nodes
	case gateway.SectorCount:
		return r.sectorCounts(f, at)
	case gateway.SectorPair:
		return r.sectorPairs(at)
	case gateway.ChildOutcome:
		return r.outcomes(f, at)
	case gateway.ReachedIn:
		nodes := named(f, at)
		want := []string{gateway.ReachedYes, gateway.ReachedNo, gateway.ReachedCannotTell, gateway.ReachedNoStart}
		got := codesOf(nodes)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			at.at("nodes").bad("the nodes of reached are %v", want)
		}
		return nodes
	case gateway.EventQuarter, gateway.EventYear:
	}
	return nil
}

// named are nodes that the file itself names, numbered in their order.
func named(f *dimensionFile, at place) []gateway.Node {
	var nodes []gateway.Node
	for i, n := range f.Nodes {
		if len(n.Members) > 0 {
			at.at("nodes").at(i).bad("members are of groups")
		}
		if (n.Outcome != nil) != (f.Source.Kind == gateway.ChildOutcome) {
			at.at("nodes").at(i).bad("an outcome is of the source outcome, whose nodes need it")
		}
		nodes = append(nodes, gateway.Node{Code: n.Code, Title: n.Title, Number: uint16(i + 1)})
	}
	return nodes
}

func codesOf(nodes []gateway.Node) []string {
	var codes []string
	for _, n := range nodes {
		codes = append(codes, n.Code)
	}
	return codes
}

// codes returns the nodes of a coded column: the codes that are named, or all
// that have not expired. A record with any other code is in no node.
func (r *cubeReader) codes(f *dimensionFile, at place) []gateway.Node {
	list := r.list(f, at.at("source").at("column"))
	if list == nil {
		return nil
	}
	chosen := f.Codes
	for _, c := range list.Codes {
		if len(f.Codes) == 0 && c.To == gateway.NoDay && !f.pools(c.Code) {
			chosen = append(chosen, c.Code)
		}
	}
	var nodes []gateway.Node
	for i, code := range chosen {
		number, ok := list.Number([]byte(code))
		if !ok {
			at.at("codes").at(i).bad("code list %s has no code %q", list.ID, code)
			continue
		}
		nodes = append(nodes, gateway.Node{Code: code, Title: list.Codes[number-1].Title, Number: number})
	}
	return r.other(f, list, nodes, at.at("other"))
}

// list returns the code list of a stored column. All contracts that store it
// must agree, and all must store what describes a child.
func (r *cubeReader) list(f *dimensionFile, at place) *gateway.CodeList {
	var list *gateway.CodeList
	for _, c := range r.contracts {
		field := stored(c, f.Source.Column)
		switch {
		case field == nil && f.Source.Kind != gateway.EventColumn:
			at.bad("contract %s does not store %s, so it cannot describe a child", c.ID, f.Source.Column)
			return nil
		case field == nil:
			continue
		case field.List == nil || (list != nil && field.List != list):
			at.bad("column %s of contract %s has no codes, or others than elsewhere", f.Source.Column, c.ID)
			return nil
		case field.Multi && f.Source.Kind != gateway.EventColumn:
			at.bad("column %s of contract %s holds several codes, so it cannot describe a child", f.Source.Column, c.ID)
			return nil
		}
		list = field.List
	}
	if list == nil {
		at.bad("no contract stores a column %q", f.Source.Column)
	}
	return list
}

// group puts the coarser nodes above the leaves.
func (r *cubeReader) group(f *dimensionFile, leaves []gateway.Node, at place) []gateway.Node {
	if (len(f.Levels) == 2) != (len(f.Groups) > 0) {
		at.bad("two levels need groups, and one has none")
		return leaves
	}
	if len(f.Groups) == 0 {
		return leaves
	}
	var nodes []gateway.Node
	parents := map[string]string{}
	for i, g := range f.Groups {
		nodes = append(nodes, gateway.Node{Code: g.Code, Title: g.Title})
		for j, member := range g.Members {
			if parents[member] != "" || !slices.Contains(codesOf(leaves), member) {
				at.at("groups").at(i).at("members").at(j).bad("%q is not a leaf, or is in two groups", member)
			}
			parents[member] = g.Code
		}
	}
	for _, leaf := range leaves {
		leaf.Level, leaf.Parent = 1, parents[leaf.Code]
		if leaf.Parent == "" {
			at.at("groups").bad("leaf %q is in no group", leaf.Code)
		}
		nodes = append(nodes, leaf)
	}
	return nodes
}

// checkNodes holds the nodes of a dimension against one another.
func checkNodes(d *gateway.Dimension, at place) {
	seen := map[string]bool{}
	for _, n := range d.Nodes {
		if !nodePattern.MatchString(n.Code) || seen[n.Code] {
			at.bad("code %q of dimension %s does not match %s, or is given twice", n.Code, d.Name, nodePattern)
		}
		if n.Title.EN == "" {
			at.bad("code %q of dimension %s has no English title", n.Code, d.Name)
		}
		seen[n.Code] = true
	}
	if n := d.Node(d.Omitted); d.Omitted != "" && (n == nil || !d.Leaf(*n)) {
		at.at("omitted").bad("%q is not a leaf of dimension %s", d.Omitted, d.Name)
	}
	if len(d.Nodes) > gateway.MaxNominalCells {
		at.bad("dimension %s has more than %d nodes", d.Name, gateway.MaxNominalCells)
	}
}
