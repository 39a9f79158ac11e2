package disclosure

import (
	"maps"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// reduce takes out of an admitted question the filters that others imply, and puts the
// parent in the place of an only child: what denotes the same children has one label
// and one answer (disclosure.md 2.1). A dimension that is grouped keeps its filter,
// which says which cells are listed, and so does one that the statistic is about: its
// code is not only a condition there. It reports whether it changed anything.
func (l *lattice) reduce(c *query, wants map[string]*want) bool {
	changed := false
	for again := true; again; {
		again = false
		for _, name := range slices.Sorted(maps.Keys(wants)) {
			w := wants[name]
			switch {
			case w.level >= 0, w.dim == c.stat.dim, c.stat.value != nil && w.dim.Source.Kind == gateway.EventSector:
				continue
			case l.superfluous(wants, w):
				delete(wants, name)
				delete(c.filter, name)
			case w.dim.only(w.node.Level, w.dim.place[w.node.Level][w.node.Code]):
				w.node = w.dim.Node(w.node.Parent)
				c.filter[name] = w.node.Code
			default:
				continue
			}
			changed, again = true, true
		}
	}
	return changed
}

// superfluous reports whether another filter implies this one.
func (l *lattice) superfluous(wants map[string]*want, w *want) bool {
	for _, m := range l.implications {
		given := wants[m.If.Dimension]
		if m.Then.Dimension == w.dim.Name && given != nil && given.node != nil &&
			given.dim.under(given.node, m.If.Node) && w.dim.under(w.dim.Node(m.Then.Node), w.node.Code) {
			return true
		}
	}
	return false
}
