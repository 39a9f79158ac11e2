package configs

import (
	"maps"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// readFacts reads what a definition declares about cells before any data:
// structural zeros and implications (disclosure.md 2.1). What sources imply by
// themselves is added.
func (r *cubeReader) readFacts() {
	for i, zero := range r.file.Impossible {
		at := r.top.at("impossible").at(i)
		facts := r.facts(zero, at)
		if len(zero) < 2 {
			at.bad("a structural zero names nodes of two dimensions or more")
		}
		r.def.Impossible = append(r.def.Impossible, facts)
	}
	for i, m := range r.file.Implied {
		at := r.top.at("implied").at(i)
		when, then := r.facts(m.If, at.at("if")), r.facts(m.Then, at.at("then"))
		if len(m.If) != 1 || len(m.Then) != 1 {
			at.bad("an implication is from one node to one node")
			continue
		}
		if len(when) == 0 || len(then) == 0 {
			continue // said already
		}
		if when[0].Dimension == then[0].Dimension {
			at.bad("an implication is between two dimensions: within one, the tree says it")
		}
		r.def.Implied = append(r.def.Implied, gateway.Implication{If: when[0], Then: then[0]})
	}
	r.implySectors()
}

// facts reads nodes by dimension, in the order of the dimensions' names. A quarter
// or year is no fact: a release chooses its own window.
func (r *cubeReader) facts(nodes map[string]string, at place) []gateway.Fact {
	var facts []gateway.Fact
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		d := r.def.Dimension(name)
		if d == nil || d.Node(nodes[name]) == nil {
			at.bad("%s has no node %q", name, nodes[name])
			continue
		}
		facts = append(facts, gateway.Fact{Dimension: name, Node: nodes[name]})
	}
	return facts
}
