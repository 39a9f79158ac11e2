package gateway

// A Member is a code of a list that a node stands for together with others.
type Member struct {
	Code   string `json:"code"`
	Number uint16 `json:"number"` // in the source's code list
}

// Numbers returns the numbers of the list's codes that a leaf stands for: its own, or
// those of its members.
//
// A leaf with members is the "other" of its dimension (disclosure.md 2.4 rule 8). Which
// codes go in is written in the cube file, before any data: a pool that took in what is
// small would tell, by who is in it, what is. Nothing of the members is published apart,
// and the pool is a code like the others: hidden when it is small itself.
func (n *Node) Numbers() []uint16 {
	if len(n.Members) == 0 {
		return []uint16{n.Number}
	}
	numbers := make([]uint16, len(n.Members))
	for i, m := range n.Members {
		numbers[i] = m.Number
	}
	return numbers
}
