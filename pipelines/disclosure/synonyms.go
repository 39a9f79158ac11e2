package disclosure

import (
	"maps"
	"slices"
)

// reduce takes out of an admitted question the filters that others imply, and puts the
// parent in the place of an only child: what denotes the same children has one label
// and one answer (disclosure.md 2.1). A dimension that is grouped keeps its filter,
// which says which cells are listed. It reports whether it changed anything.
func (l *lattice) reduce(wants map[string]*want, filter map[string]string) bool {
	changed := false
	for again := true; again; {
		again = false
		for _, name := range slices.Sorted(maps.Keys(wants)) {
			w := wants[name]
			switch {
			case w.level >= 0:
				continue
			case l.superfluous(wants, w):
				delete(wants, name)
				delete(filter, name)
			case w.dim.only(w.node.Level, w.dim.place[w.node.Level][w.node.Code]):
				w.node = w.dim.Node(w.node.Parent)
				filter[name] = w.node.Code
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
