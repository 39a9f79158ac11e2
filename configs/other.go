package configs

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// pools reports whether a code of the list goes into the dimension's other.
func (f *dimensionFile) pools(code string) bool {
	return f.Other != nil && slices.Contains(f.Other.Members, code)
}

// other puts the one pooled code after the others: {code, title, members}. Its members
// are named here, before any data, and never by what was counted (disclosure.md 2.4 rule
// 8). A code that is neither a node nor a member is in no node, as ever.
func (r *cubeReader) other(f *dimensionFile, list *gateway.CodeList, nodes []gateway.Node, at place) []gateway.Node {
	if f.Other == nil {
		return nodes
	}
	other := gateway.Node{Code: f.Other.Code, Title: f.Other.Title}
	if len(f.Other.Members) < 2 {
		at.bad("other stands for two codes or more")
	}
	if _, known := list.Number([]byte(other.Code)); known && !f.pools(other.Code) {
		at.at("code").bad("%q is a code of list %s with a meaning of its own", other.Code, list.ID)
	}
	for i, code := range f.Other.Members {
		number, known := list.Number([]byte(code))
		if !known || slices.Contains(f.Other.Members[:i], code) || slices.Contains(f.Codes, code) {
			at.at("members").at(i).bad("%q is no code of list %s, or is given twice, or is a node", code, list.ID)
			continue
		}
		if next := list.Codes[number-1].Successor; next != "" {
			at.at("members").at(i).bad("%q is read as %q, which replaced it", code, next)
		}
		other.Members = append(other.Members, gateway.Member{Code: code, Number: number})
	}
	return append(nodes, other)
}
