package warehouse

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A view is quarters that count batches up to one snapshot.
type view struct {
	snapshot uint64
	quarters []int
}

// views returns what a build counts: every quarter of its window in one view.
func (b *Build) views() []view {
	bySnapshot := map[uint64][]int{}
	for q := b.Definition.From; q <= b.Definition.To; q++ {
		snapshot, closed := b.Closed[q]
		if !closed {
			snapshot = b.Snapshot
		}
		bySnapshot[snapshot] = append(bySnapshot[snapshot], int(q))
	}
	return viewsOf(bySnapshot)
}

// before returns what counted in the closed quarters of a build, and now what would if
// everything up to its snapshot did.
func (b *Build) before() (before, now []view) {
	bySnapshot := map[uint64][]int{}
	var all []int
	for _, q := range slices.Sorted(maps.Keys(b.Closed)) {
		bySnapshot[b.Closed[q]] = append(bySnapshot[b.Closed[q]], int(q))
		all = append(all, int(q))
	}
	return viewsOf(bySnapshot), []view{{b.Snapshot, all}}
}

func viewsOf(bySnapshot map[uint64][]int) []view {
	var views []view
	for _, snapshot := range slices.Sorted(maps.Keys(bySnapshot)) {
		views = append(views, view{snapshot, bySnapshot[snapshot]})
	}
	return views
}

// seen is the SQL of whether a row of a contract is in one of the views.
func (c *counting) seen(contract *gateway.Contract, views []view) string {
	var some []string
	for _, v := range views {
		some = append(some, fmt.Sprintf("(%s IN (%s) AND %s IN (%s)%s)",
			gateway.ColumnQuarter, join(v.quarters), loadColumn, c.w.visible(contract.ID, Snapshot{v.snapshot, c.Generation}), c.notReplaced(contract, v.snapshot)))
	}
	return strings.Join(some, " OR ")
}
