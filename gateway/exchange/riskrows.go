package exchange

import (
	"context"
	"fmt"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure/risk"
)

// A column is one stored column as the risk page and the warehouse see it.
type column struct {
	risk.Column
	warehouse.Values
}

// Limits on what one contract's page looks at: the sets of columns grow with the
// cube of their number.
const (
	maxQuasi     = 12
	maxSensitive = 10
	// maxCombinations leaves room for the quarters in a word of 62 bits.
	maxCombinations = 1 << 54
	maxCodes        = 64 // of a sensitive column; longer lists count by their first character
)

// rows describes the stored rows of each contract, from the snapshot and the window
// of the release. It streams combinations; memory is bounded by the code lists.
func (x *Exchange) rows(ctx context.Context, r gateway.Release, p *Pinned) ([]risk.Rows, error) {
	var list []risk.Rows
	for _, c := range x.newest() {
		quasi, sensitive := quasiColumns(c, p.Definition), sensitiveColumns(c)
		tally := risk.NewTally(c.ID, riskColumns(quasi), riskColumns(sensitive))
		err := x.Warehouse.Children(ctx, warehouse.Combinations{
			Contract: c.ID, Snapshot: warehouse.Snapshot{Seq: r.Snapshot, Generation: x.keys.generation()}, From: p.Definition.From, To: p.Definition.To,
			Quasi: values(quasi), Sensitive: values(sensitive),
		}, func(quasi, sensitive []int, n int) error { tally.Add(quasi, sensitive, n); return nil })
		if err != nil {
			return nil, fmt.Errorf("describing the rows of %s: %w", c.ID, err)
		}
		list = append(list, tally.Rows(c.Title))
	}
	return list, nil
}

// newest are the contracts, of several versions the newest, in their order.
func (x *Exchange) newest() []*gateway.Contract {
	var list []*gateway.Contract
	for _, c := range x.Options.Contracts {
		at := slices.IndexFunc(list, func(o *gateway.Contract) bool { return o.ID == c.ID })
		switch {
		case at < 0:
			list = append(list, c)
		case c.Version > list[at].Version:
			list[at] = c
		}
	}
	return list
}

func riskColumns(list []column) []risk.Column {
	columns := make([]risk.Column, len(list))
	for i, c := range list {
		columns[i] = c.Column
	}
	return columns
}

func values(list []column) []warehouse.Values {
	columns := make([]warehouse.Values, len(list))
	for i, c := range list {
		columns[i] = c.Values
	}
	return columns
}

// quasiColumns are the stored quasi-identifiers of a contract: its coded fields and
// age bands of that role, and the quarter of the event. Days are stored shifted by a
// secret per child, so that nobody can match them; they are left out.
func quasiColumns(c *gateway.Contract, d *gateway.Definition) []column {
	var list []column
	combinations := 1
	for i := range c.Fields {
		f := &c.Fields[i]
		if f.Role != gateway.RoleQuasi || f.List == nil || f.Multi || f.Column == "" || len(list) == maxQuasi-1 ||
			slices.ContainsFunc(list, func(o column) bool { return o.Name == f.Column }) {
			continue
		}
		size := len(f.List.Codes) + 1
		if combinations > maxCombinations/size {
			continue
		}
		combinations *= size
		list = append(list, column{
			risk.Column{Name: f.Column, Title: f.Title, Size: size, Coarser: coarser(f, d)},
			warehouse.Values{Column: f.Column, Size: size},
		})
	}
	size := int(d.To-d.From) + 2
	return append(list, column{
		risk.Column{
			Name: gateway.ColumnQuarter, Title: gateway.Text{KK: "Тоқсан", RU: "Квартал", EN: "Quarter of the event"}, Size: size,
			Coarser: []risk.Coarsening{{To: "its year", Map: years(d.From, size)}},
		},
		warehouse.Values{Column: gateway.ColumnQuarter, Size: size, From: int(d.From)},
	})
}

func years(from gateway.Quarter, size int) []int {
	list := make([]int, size)
	for i := 1; i < size; i++ {
		list[i] = (int(from)+i-1)/4 - int(from)/4 + 1
	}
	return list
}

// coarser lists the registered coarsenings of a field: the parents in its code list,
// the coarser levels of a tree that the release has over its column, and age bands
// two by two.
func coarser(f *gateway.Field, d *gateway.Definition) []risk.Coarsening {
	var list []risk.Coarsening
	if f.Type == gateway.TypeBirthDate || f.Type == gateway.TypeAge {
		pairs := make([]int, len(f.List.Codes)+1)
		for i := 1; i < len(pairs); i++ {
			pairs[i] = (i + 1) / 2
		}
		list = append(list, risk.Coarsening{To: "age bands twice as broad", Map: pairs})
	}
	if up, some := parents(f.List); some {
		list = append(list, risk.Coarsening{To: "the parent codes of its list", Map: up})
	}
	for i := range d.Dimensions {
		dim := &d.Dimensions[i]
		if dim.Source.Column == f.Column && len(dim.Levels) > 1 && dim.Source.Kind != gateway.EventSectorCode {
			list = append(list, risk.Coarsening{To: "the level " + dim.Levels[len(dim.Levels)-2], Map: level(dim, len(f.List.Codes)+1)})
		}
	}
	return list
}

func parents(list *gateway.CodeList) (up []int, some bool) {
	up = make([]int, len(list.Codes)+1)
	for i, code := range list.Codes {
		up[i+1] = i + 1
		if n, ok := list.Number([]byte(code.Parent)); ok && code.Parent != "" {
			up[i+1], some = int(n), true
		}
	}
	return up, some
}

// level maps numbers of leaves to their parents; codes that the tree does not have
// stay apart.
func level(dim *gateway.Dimension, size int) []int {
	above := map[string]int{}
	for i, n := range dim.AtLevel(len(dim.Levels) - 2) {
		above[n.Code] = i + 1
	}
	up := make([]int, size)
	for i := 1; i < size; i++ {
		up[i] = len(above) + i
	}
	for _, n := range dim.AtLevel(len(dim.Levels) - 1) {
		for _, number := range n.Numbers() {
			if int(number) < size {
				up[number] = above[n.Parent]
			}
		}
	}
	return up
}

// sensitiveColumns are the stored sensitive codes. A long list counts by the first
// character of its codes, a cell of several codes by its lowest: both merge values,
// so what is said of their variety errs on the side of caution.
func sensitiveColumns(c *gateway.Contract) []column {
	var list []column
	for i := range c.Fields {
		f := &c.Fields[i]
		if f.Role != gateway.RoleSensitive || f.List == nil || f.Column == "" || len(list) == maxSensitive {
			continue
		}
		v := warehouse.Values{Column: f.Column, Size: len(f.List.Codes) + 1, Set: f.Multi}
		if len(f.List.Codes) > maxCodes {
			v.Map, v.Size = initials(f.List)
		}
		list = append(list, column{risk.Column{Name: f.Column, Title: f.Title, Size: v.Size}, v})
	}
	return list
}

func initials(list *gateway.CodeList) (numbers []int, size int) {
	seen := map[byte]int{}
	numbers = make([]int, len(list.Codes)+1)
	for i, code := range list.Codes {
		first := code.Code[0]
		if seen[first] == 0 {
			seen[first] = len(seen) + 1
		}
		numbers[i+1] = seen[first]
	}
	return numbers, len(seen) + 1
}
