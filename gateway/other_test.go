package gateway

import (
	"slices"
	"testing"
)

// A node stands for its own number or for those of its members.
func TestNumbers(t *testing.T) {
	alone, pool := Node{Number: 7}, Node{Members: []Member{{"a", 3}, {"b", 1}}}
	if !slices.Equal(alone.Numbers(), []uint16{7}) || !slices.Equal(pool.Numbers(), []uint16{3, 1}) {
		t.Errorf("%v, %v", alone.Numbers(), pool.Numbers())
	}
}
